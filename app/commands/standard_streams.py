"""Standard streams that were closed: by a program such as ``head``, with a terminal, or before."""

import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

from app.commands.exit_status import ERROR, PIPE_CLOSED


def report(text: str) -> None:
    """Write to standard error, unless it is closed: work goes on without a terminal."""
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def is_output_closed(error: BaseException) -> bool:
    """Return whether the reader of standard output is the reason of an error."""
    if not isinstance(error, BrokenPipeError):
        return False
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def was_output_replaced() -> bool:
    """Return whether Typer has met a closed pipe: it then puts a wrapper before the stream."""
    return not isinstance(sys.stdout, io.TextIOBase)


def finish_output() -> int:
    """Write what is buffered; return 0, or the exit status if standard output does not take it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = PIPE_CLOSED
    except OSError as error:
        report(f"nixery: cannot write to standard output: {error.strerror}\n")
        status = ERROR
    else:
        return 0
    _discard(sys.stdout)
    return status


def finish_errors() -> None:
    """Discard messages that standard error does not take."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Python flushes again at its end, and would report the error with a status of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_missing() -> bool:
    """Open streams that the process was started without; return whether standard output was there.

    Otherwise the next file or socket would have the number of a standard stream.
    """
    had_output = sys.stdout is not None
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number, which is that of the stream.
            number = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, mode))
    return had_output

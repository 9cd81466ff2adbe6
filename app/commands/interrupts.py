"""Ctrl-C before a command handles it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Let SIGINT end the process, in place of Python's KeyboardInterrupt.

    Libraries may catch the exception while they are imported, so that the command goes on, or
    raise another one.  In an event loop that is being started it leaves a process that does not
    end.  An ignored SIGINT stays ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

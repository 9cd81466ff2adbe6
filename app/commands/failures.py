"""Expected errors end a command with one line on standard error, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from app.commands.exit_status import ERROR, INTERRUPTED, PIPE_CLOSED
from app.commands.standard_streams import is_output_closed, report
from app.errors import OperatorError, RegistryError
from app.text.sanitize import printable


@contextmanager
def exit_on_errors(verb: str, *, interrupted: str) -> Iterator[None]:
    """Turn expected errors and Ctrl-C into an exit status.

    A reader of standard output that is gone, such as ``head``, ends the command without a message.
    ``interrupted`` completes the last line of an interrupted command.
    """
    try:
        yield
    except (OperatorError, RegistryError, OSError) as error:
        if is_output_closed(error):
            raise typer.Exit(PIPE_CLOSED) from None
        report(f"nixery {verb}: {printable(_text(error))}\n")
        raise typer.Exit(ERROR) from None
    except KeyboardInterrupt:
        report(f"\nstopped; {interrupted}\n")
        raise typer.Exit(INTERRUPTED) from None


def _text(error: Exception) -> str:
    """Return the message; that of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)

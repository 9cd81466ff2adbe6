"""Expected errors end a command with one line on standard error, without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from app.commands.exit_status import ERROR, INTERRUPTED
from app.errors import OperatorError, RegistryError
from app.text.sanitize import printable


@contextmanager
def exit_on_errors(verb: str, *, interrupted: str) -> Iterator[None]:
    """Turn expected errors and Ctrl-C into an exit status.

    ``interrupted`` completes the last line of an interrupted command.
    """
    try:
        yield
    except (OperatorError, RegistryError, OSError) as error:
        sys.stderr.write(f"nixery {verb}: {printable(str(error))}\n")
        raise typer.Exit(ERROR) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; {interrupted}\n")
        raise typer.Exit(INTERRUPTED) from None

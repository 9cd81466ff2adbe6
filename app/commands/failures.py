"""Errors that end a command with one line on standard error, in place of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from app.errors import OperatorError, RegistryError
from app.text.sanitize import visible

# The status that shells report for a program that SIGINT ended.
INTERRUPTED = 130


@contextmanager
def reported_failures(verb: str, *, stopped: str) -> Iterator[None]:
    """Turn expected errors into exit status 1 and Ctrl-C into 130.

    ``stopped`` completes the line that an interrupted command ends with.
    """
    try:
        yield
    except (OperatorError, RegistryError, OSError) as error:
        sys.stderr.write(f"nixery {verb}: {visible(str(error))}\n")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; {stopped}\n")
        raise typer.Exit(INTERRUPTED) from None

"""Files that a command writes for its user."""

import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.errors import OperatorError
from app.system.blocking import blocking


class CannotWrite(OperatorError):
    """The destination cannot take what a command writes."""


@blocking
@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is written whole or not at all.  Raises CannotWrite.

    Links, devices and pipes are written in place: a new file would replace them.
    """
    try:
        if _is_regular(path):
            with _replacing(path) as partial, partial.open("wb") as file:
                yield file
        else:
            with path.open("wb") as file:
                yield file
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error


def is_unfinished(path: Path, name: str) -> bool:
    """Return whether a file in the directory of ``name`` was left by a killed ``writing``."""
    return re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}", path.name) is not None


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes ``path`` at the end."""
    # Processes in two containers often have the same number.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""Errors of unpacking a source: invalid files, or a disk that is full or fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from app.errors import Refused, SourceUnavailable, StorageUnavailable
from app.system.state_directory import translate_state_errors

MOST_BYTES = 4 * 1024**3  # ten times what nixpkgs has
MOST_FILES = 500_000
DEEPEST = 200  # levels of directories
TOO_LARGE = "they have more than 4 GiB"
TOO_DEEP = f"they have more than {DEEPEST} levels of directories"
TOO_MANY = "there are too many"
FULL = "the server's state directory is full; its operator has to free or add space"
TOO_LONG = "a name or a link is too long"
TWICE = "two of them have the same name"
NO_NAME = "this file system does not accept a name"
_BAD = {
    errno.EEXIST: TWICE,
    errno.EILSEQ: NO_NAME,
    errno.EINVAL: NO_NAME,
    errno.EISDIR: TWICE,
    errno.ENAMETOOLONG: TOO_LONG,
    errno.ENOTDIR: TWICE,
}


class FilesInvalid(Exception):
    """The files cannot be written to a directory; a retry does not help.

    The message is one line that ends a sentence, without paths of this machine.
    """


class UnpackingFailed(Exception):
    """The disk is full or fails; a retry may help.  The message is like that of FilesInvalid."""


@contextmanager
def translate_unpacking_errors(source: str) -> Iterator[None]:
    """Turn both errors into errors for the client: Refused or SourceUnavailable."""
    try:
        yield
    except FilesInvalid as error:
        raise Refused(_sentence(source, error)) from error.__cause__
    except UnpackingFailed as error:
        raise SourceUnavailable(_sentence(source, error)) from error.__cause__


@contextmanager
def translate_file_errors() -> Iterator[None]:
    """Turn errors that names and links can cause into FilesInvalid; others are raised as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in _BAD:
            raise FilesInvalid(_BAD[error.errno]) from error
        raise


@contextmanager
def translate_disk_errors() -> Iterator[None]:
    """Turn every OSError into UnpackingFailed."""
    try:
        with translate_state_errors():
            yield
    except StorageUnavailable as error:
        raise UnpackingFailed(error.message) from error.__cause__


def date_of(seconds: float) -> datetime:
    """Return the date of a commit, from seconds since 1970.  Raises FilesInvalid."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise FilesInvalid("their date is invalid") from None


def _sentence(source: str, error: FilesInvalid | UnpackingFailed) -> str:
    return f"the files of source {source} cannot be unpacked: {error}"

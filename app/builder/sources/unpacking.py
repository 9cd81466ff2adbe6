"""Why the files of a source cannot be unpacked: what they are, or what our disk is."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from app.errors import Refused, SourceUnavailable, StorageUnavailable
from app.system.state_directory import translate_state_errors

MOST_BYTES = 4 * 1024**3  # ten times what nixpkgs has
MOST_FILES = 500_000
TOO_LARGE = "they have more than 4 GiB"
TOO_DEEP = "they have more than 200 directories in one another"
TOO_MANY = "they are too many"
FULL = "the server's state directory is full; its operator has to free or add space"
TOO_LONG = "a name or a link is too long"
TWICE = "two of them have one name"
NO_NAME = "a name is none to this file system"
_BAD = {
    errno.EEXIST: TWICE,
    errno.EILSEQ: NO_NAME,
    errno.EINVAL: NO_NAME,
    errno.EISDIR: TWICE,
    errno.ENAMETOOLONG: TOO_LONG,
    errno.ENOTDIR: TWICE,
}


class BadFiles(Exception):
    """No directory of ours can hold the files, and asking again will not help.

    The message, one line, ends a sentence and names no path of this machine.
    """


class UnpackingFailed(Exception):
    """Another time it may go well: our disk is full or does not work.  The message is as above."""


@contextmanager
def told(source: str) -> Iterator[None]:
    """Both in words for the client, and whose fault it is as a status."""
    try:
        yield
    except BadFiles as error:
        raise Refused(_sentence(source, error)) from error.__cause__
    except UnpackingFailed as error:
        raise SourceUnavailable(_sentence(source, error)) from error.__cause__


@contextmanager
def files_at_fault() -> Iterator[None]:
    """Turn what names and links can cause into BadFiles; other errors of the system stay."""
    try:
        yield
    except OSError as error:
        if error.errno in _BAD:
            raise BadFiles(_BAD[error.errno]) from error
        raise


@contextmanager
def disk_at_fault() -> Iterator[None]:
    """Turn every OSError into UnpackingFailed."""
    try:
        with translate_state_errors():
            yield
    except StorageUnavailable as error:
        raise UnpackingFailed(error.message) from error.__cause__


def date_of(seconds: float) -> datetime:
    """Of seconds since 1970, as whoever made the commit says; raises BadFiles."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadFiles("their date is none") from None


def _sentence(source: str, error: BadFiles | UnpackingFailed) -> str:
    return f"the files of source {source} cannot be unpacked: {error}"

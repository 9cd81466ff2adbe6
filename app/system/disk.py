"""Errors of disks, translated for users."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import StorageUnavailable

# A full disk still takes empty files.
TRIAL_SIZE = 64 << 10
_STORAGE = "the registry's storage"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def storage_unavailable(error: OSError, place: str = _STORAGE) -> StorageUnavailable:
    """Return an error whose text names no path, since it reaches clients.

    The caller chains the cause, which is for the log.
    """
    if error.errno in _FULL:
        return StorageUnavailable(f"{place} is full; its operator has to free or add space")
    return StorageUnavailable(
        f"{place} does not work ({reason_of(error)}); "
        "its operator finds the reason in the server's log"
    )


def reason_of(error: OSError) -> str:
    """Return the text of the operating system, without a path."""
    if error.errno == errno.EEXIST:
        # From ``mkdir``: the name is that of a file, or of a link that leads nowhere.
        return os.strerror(errno.ENOTDIR)
    return error.strerror or "input/output error"


@contextmanager
def translate_disk_errors(place: str = _STORAGE) -> Iterator[None]:
    """Raise StorageUnavailable in place of every OSError."""
    try:
        yield
    except OSError as error:
        raise storage_unavailable(error, place) from error

"""Errors of disks, translated for users."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import StorageUnavailable

# A full disk still takes empty files.
TRIAL_SIZE = 64 << 10
_STORAGE = "the registry's storage"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def unavailable(error: OSError, place: str = _STORAGE) -> StorageUnavailable:
    """Names no path: the text reaches clients.  The cause, for the log, is the caller's to chain."""
    if error.errno in _FULL:
        return StorageUnavailable(f"{place} is full; its operator has to free or add space")
    return StorageUnavailable(
        f"{place} does not work ({error.strerror or 'input/output error'}); "
        "its operator finds the reason in the server's log"
    )


@contextmanager
def reported(place: str = _STORAGE) -> Iterator[None]:
    """Turn every OSError into StorageUnavailable."""
    try:
        yield
    except OSError as error:
        raise unavailable(error, place) from error

"""The directory where this server works: sources, archives, roots of Nix."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from app.errors import StorageUnavailable
from app.system.blocking import blocking
from app.system.disk import TRIAL_SIZE, reason_of, translate_disk_errors


def translate_state_errors() -> AbstractContextManager[None]:
    """Raise StorageUnavailable, which names the state directory, in place of every OSError."""
    return translate_disk_errors("the server's state directory")


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Name the directory and its setting in a StorageUnavailable, for the operator."""
    try:
        yield
    except StorageUnavailable as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise StorageUnavailable(
            f"cannot use the state directory {directory} ({reason_of(error.__cause__)}): make it"
            f" writable for user {os.geteuid()}, or choose another one with NIXERY_STATE_PATH"
        ) from error.__cause__


@blocking
def attempt(directory: Path) -> None:
    """Write a little to a file without a name.  Raise StorageUnavailable."""
    with translate_state_errors():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(TRIAL_SIZE))
            file.flush()
            os.fsync(file.fileno())

"""Where this server works, beside what it stores: sources, archives, roots of Nix."""

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from app.system.disk import TRIAL_SIZE, reported


def state_directory_at_fault() -> AbstractContextManager[None]:
    """Turn every OSError into StorageUnavailable, which says so."""
    return reported("the server's state directory")


def attempt(directory: Path) -> None:
    """Blocking.  Write a little where nobody sees it.  Raises StorageUnavailable."""
    with state_directory_at_fault():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(TRIAL_SIZE))
            file.flush()
            os.fsync(file.fileno())

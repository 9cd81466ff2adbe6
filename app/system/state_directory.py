"""The directory where this server works: sources, archives, roots of Nix."""

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from app.system.blocking import blocking
from app.system.disk import TRIAL_SIZE, translate_disk_errors


def translate_state_errors() -> AbstractContextManager[None]:
    """Raise StorageUnavailable, which names the state directory, in place of every OSError."""
    return translate_disk_errors("the server's state directory")


@blocking
def attempt(directory: Path) -> None:
    """Write a little to a file without a name.  Raise StorageUnavailable."""
    with translate_state_errors():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(TRIAL_SIZE))
            file.flush()
            os.fsync(file.fileno())

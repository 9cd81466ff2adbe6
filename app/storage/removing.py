"""Remove a file only if it is the one that was read."""

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from app.storage.base import ObjectNotFound
from app.storage.directories import no_directory, sync
from app.storage.objects import Objects
from app.system.blocking import blocking


@blocking
def remove_if(
    objects: Objects, key: str, is_useless: Callable[[BinaryIO | None], bool], *, staging: Path
) -> bool:
    """Remove an object if the function returns True for it; see ``Storage.delete_if``."""
    path = objects.path(key)
    with no_directory(), ExitStack() as opened:
        status, file = path.lstat(), None
        if stat.S_ISDIR(status.st_mode):
            return False
        with suppress(ObjectNotFound):
            # It stays open: another file cannot get the number of its inode.
            file = opened.enter_context(BufferedReader(objects.open(key)))
            status = os.fstat(file.fileno())
        return is_useless(file) and _remove(path, status, staging)
    return False


@blocking
def _remove(path: Path, status: os.stat_result, staging: Path) -> bool:
    """Return False if another process has replaced the file, which then stays."""
    if not os.path.samestat(path.lstat(), status):
        return False
    # It may be replaced at this moment: the file that is moved away is compared.
    removed = staging / f"removed-{secrets.token_hex(16)}"
    path.rename(removed)
    try:
        if os.path.samestat(removed.lstat(), status):
            return True
        with suppress(FileExistsError):
            os.link(removed, path, follow_symlinks=False)
        return False
    finally:
        removed.unlink(missing_ok=True)
        sync(path.parent)

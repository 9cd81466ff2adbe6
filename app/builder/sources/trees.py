"""Source trees of revisions, unpacked once for all processes with this state directory.

A tree belongs to the place it came from.  Two sources share it only if they fetch from the same
place with the same credentials.  Otherwise untrusted files could be evaluated as trusted ones,
and private files could be read without credentials.

A tree is renamed to its name when it is complete.  After a restart of the machine its fingerprint
is checked before the first use, because a power cut can damage files; that costs less than waiting
for the disk after each unpacking.  The fingerprint is deleted before the tree, so that a process
killed in between leaves no tree that seems complete.  A tree's lock is shared while the tree is
used, and exclusive while it is created or removed.
"""

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from loguru import logger
from pydantic import BaseModel

from app.builder.sources.fingerprint import Fingerprint
from app.builder.sources.unpacking import (
    UnpackingFailed,
    translate_disk_errors,
    translate_file_errors,
)
from app.system.blocking import blocking
from app.system.directory_trees import remove_tree
from app.system.last_use import last_use
from app.system.locks import EXCLUSIVE, SHARED, LockHeld, locked, try_exclusive
from app.system.workers import Workers

# Nix's own name for a fetched tree; a derivation with the whole tree as input gets this name.
_SOURCE = "source"
_FINGERPRINT = "fingerprint"
# Raise it when the same revision gets other files; trees of another form are made again.
_FORM = "2"
# Longer than a download may take, and its unpacking.
_MAKING_SECONDS = 900
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Trees:
    """The directory of all source trees.

    ``keep`` is the number of trees that are not removed when others are added.  ``seconds`` is how
    long another process may take to make a tree.
    """

    def __init__(
        self, *, directory: Path, workers: Workers, keep: int, seconds: float = _MAKING_SECONDS
    ) -> None:
        self._directory = directory
        self._workers = workers
        self._keep = keep
        self._seconds = seconds

    @asynccontextmanager
    async def tree(
        self, place: str, commit: str, make: Callable[[Path], Awaitable[None]]
    ) -> AsyncIterator[Path]:
        """Provide the tree; ``make`` writes it to an empty directory if it is missing.

        Raises FilesInvalid, UnpackingFailed, and the errors of ``make``; a failure leaves no files.
        """
        name = f"{place}-{commit}"
        path = self._directory / name / _SOURCE
        lock = self._directory / f"{name}.lock"
        async with AsyncExitStack() as held:
            with translate_disk_errors():
                try:
                    while not await self._hold(held, lock, path):
                        async with self._locked(lock, EXCLUSIVE):
                            if not await self._workers.run(_is_whole, path):
                                await self._make(lock, path, make)
                except LockHeld:
                    raise UnpackingFailed(
                        f"another process has not unpacked them within {self._seconds:g} s"
                    ) from None
            yield path
        await self._workers.run(self._drop_oldest)

    async def _hold(self, held: AsyncExitStack, lock: Path, path: Path) -> bool:
        """Lock an existing tree until ``held`` is closed; return False if it is missing."""
        descriptor = await held.enter_async_context(self._locked(lock, SHARED))
        if await self._workers.run(_is_whole, path):
            await self._workers.run(_note_use, descriptor)
            return True
        await held.aclose()
        return False

    def _locked(self, lock: Path, mode: int) -> AbstractAsyncContextManager[int]:
        return locked(lock, mode, workers=self._workers, seconds=self._seconds)

    async def _make(self, lock: Path, path: Path, make: Callable[[Path], Awaitable[None]]) -> None:
        try:
            scratch = await self._workers.run(_scratch, path.parent)
            with translate_file_errors():
                await make(scratch)
            await self._workers.run(_publish, scratch, path)
        except BaseException:
            # An incomplete tree would occupy a full disk.
            with anyio.CancelScope(shield=True):
                await self._workers.run(_remove, lock)
            raise

    @blocking
    def _drop_oldest(self) -> None:
        """Remove unused trees, the least recently used first."""
        locks = sorted(self._directory.glob("*.lock"), key=last_use)
        for lock in locks[: -self._keep]:
            try:
                with try_exclusive(lock) as unused:
                    if unused:
                        _remove(lock)
            except OSError as error:
                logger.warning("an unused source tree cannot be removed: {}", error)


def place_of(definition: BaseModel, *fields: str) -> str:
    """Return a directory name: a hash of the fields for location and credentials."""
    access = definition.model_dump_json(include=set(fields))
    return hashlib.sha256(access.encode()).hexdigest()[:16]


@blocking
def _remove(lock: Path) -> None:
    """The caller must hold the exclusive lock."""
    _clear(lock.with_suffix(""))
    lock.unlink(missing_ok=True)


@blocking
def _clear(directory: Path) -> None:
    """Delete the fingerprint first: without it a tree is not complete."""
    (directory / _FINGERPRINT).unlink(missing_ok=True)
    remove_tree(directory)


@blocking
def _scratch(directory: Path) -> Path:
    """Return an empty directory, and delete the remains of killed processes."""
    _clear(directory)
    # Something that cannot be removed does not delay a tree: it has another name.
    directory.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=directory))


@blocking
def _publish(scratch: Path, path: Path) -> None:
    scratch.chmod(0o755)
    _write_fingerprint(path, Fingerprint(str(scratch)).take())
    scratch.rename(path)


@blocking
def _is_whole(path: Path) -> bool:
    """Check each time, because another process may have removed the tree."""
    return path.exists() and _has_fingerprint(path)


@blocking
def _has_fingerprint(path: Path) -> bool:
    try:
        form, boot, fingerprint = path.with_name(_FINGERPRINT).read_text().split()
        if form != _FORM:
            return False
        if boot == _boot():
            return True
        if Fingerprint(str(path)).take() != fingerprint:
            return False
    except (OSError, ValueError):
        return False
    try:
        _write_fingerprint(path, fingerprint)
    except OSError as error:
        logger.warning("a source tree will be checked again: {}", error)
    return True


@blocking
def _write_fingerprint(path: Path, fingerprint: str) -> None:
    """Write the boot's id too: after another boot the tree must be checked.

    The file is replaced whole: on a full disk, or beside another process, the tree stays valid.
    """
    new = path.with_name(f"{_FINGERPRINT}.{secrets.token_hex(8)}")
    try:
        new.write_text(f"{_FORM} {_boot()} {fingerprint}\n")
        new.rename(path.with_name(_FINGERPRINT))
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@blocking
def _boot() -> str:
    return _BOOT.read_text().strip()


@blocking
def _note_use(lock: int) -> None:
    """Pass the time, because the kernel's default is milliseconds late."""
    now = time.time_ns()
    os.utime(lock, ns=(now, now))

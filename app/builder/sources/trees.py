"""Source trees of revisions, unpacked once and shared by every process of this state directory.

A tree belongs to the place it came from: whatever a commit is called, no source finds what
another fetched, unless both fetch from the same place with the same credentials.  Or else
what strangers wrote would be evaluated as if it came from a place that is trusted, and what
is private would be read by who was not let in.

A tree appears whole under its name or not at all.  What a power cut may have left of it is
checked against its fingerprint before the first use after a restart of the machine: cheaper
than to wait for the disk whenever a tree is unpacked.  What a killed process left of a tree
that it was removing has no fingerprint, which goes first.  A tree's lock is shared while it is
used, and exclusive while it is made or removed.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from pydantic import BaseModel

from app.builder.sources.fingerprint import Fingerprint
from app.builder.sources.unpacking import disk_at_fault, files_at_fault
from app.system.blocking import blocking
from app.system.locks import EXCLUSIVE, SHARED, locked, try_exclusive
from app.system.workers import Workers

# As Nix calls a fetched tree; a derivation that takes the whole tree is named after it.
_SOURCE = "source"
_FINGERPRINT = "fingerprint"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Trees:
    """``keep`` is how many trees stay when others are asked for."""

    def __init__(self, *, directory: Path, workers: Workers, keep: int) -> None:
        self._directory = directory
        self._workers = workers
        self._keep = keep

    @asynccontextmanager
    async def tree(
        self, place: str, commit: str, make: Callable[[Path], Awaitable[None]]
    ) -> AsyncIterator[Path]:
        """The tree, made by ``make`` in an empty directory if it is not there.

        Raises BadFiles, UnpackingFailed, and what ``make`` raises; of a failure nothing is left.
        """
        name = f"{place}-{commit}"
        path = self._directory / name / _SOURCE
        lock = self._directory / f"{name}.lock"
        async with AsyncExitStack() as held:
            with disk_at_fault():
                while not await self._hold(held, lock, path):
                    async with locked(lock, EXCLUSIVE, workers=self._workers):
                        if not await self._workers.run(_is_whole, path):
                            await self._make(lock, path, make)
            yield path
        await self._workers.run(self._drop_oldest)

    async def _hold(self, held: AsyncExitStack, lock: Path, path: Path) -> bool:
        """Share the tree, if it is there, until ``held`` is closed."""
        descriptor = await held.enter_async_context(locked(lock, SHARED, workers=self._workers))
        if await self._workers.run(_is_whole, path):
            await self._workers.run(_note_use, descriptor)
            return True
        await held.aclose()
        return False

    async def _make(self, lock: Path, path: Path, make: Callable[[Path], Awaitable[None]]) -> None:
        try:
            scratch = await self._workers.run(_scratch, path.parent)
            with files_at_fault():
                await make(scratch)
            await self._workers.run(_publish, scratch, path)
        except BaseException:
            # Half a tree would keep a full disk full.
            with anyio.CancelScope(shield=True):
                await self._workers.run(_remove, lock)
            raise

    @blocking
    def _drop_oldest(self) -> None:
        """Remove trees nobody uses, the longest unused first."""
        locks = sorted(self._directory.glob("*.lock"), key=_last_use)
        for lock in locks[: -self._keep]:
            with try_exclusive(lock) as unused:
                if unused:
                    _remove(lock)


def place_of(definition: BaseModel, *fields: str) -> str:
    """For names of directories: a hash of the fields that say where files are and who gets in."""
    access = definition.model_dump_json(include=set(fields))
    return hashlib.sha256(access.encode()).hexdigest()[:16]


@blocking
def _remove(lock: Path) -> None:
    """For who holds the lock alone."""
    _clear(lock.with_suffix(""))
    lock.unlink(missing_ok=True)


@blocking
def _clear(directory: Path) -> None:
    """Whoever is killed meanwhile leaves no tree that seems whole."""
    (directory / _FINGERPRINT).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


@blocking
def _scratch(directory: Path) -> Path:
    """An empty directory; what a dead process left is in the way of nobody."""
    _clear(directory)
    directory.mkdir(parents=True)
    return Path(tempfile.mkdtemp(dir=directory))


@blocking
def _publish(scratch: Path, path: Path) -> None:
    scratch.chmod(0o755)
    _write_fingerprint(path, Fingerprint(str(scratch)).take())
    scratch.rename(path)


@blocking
def _is_whole(path: Path) -> bool:
    """Looked at each time, since any process may have removed the tree, or half of it."""
    return path.exists() and _has_fingerprint(path)


@blocking
def _has_fingerprint(path: Path) -> bool:
    try:
        boot, fingerprint = path.with_name(_FINGERPRINT).read_text().split()
        if boot == _boot():
            return True
        if Fingerprint(str(path)).take() != fingerprint:
            return False
    except (OSError, ValueError):
        return False
    _write_fingerprint(path, fingerprint)
    return True


@blocking
def _write_fingerprint(path: Path, fingerprint: str) -> None:
    """Under the boot that will have written the tree."""
    path.with_name(_FINGERPRINT).write_text(f"{_boot()} {fingerprint}\n")


@blocking
def _boot() -> str:
    return _BOOT.read_text().strip()


@blocking
def _note_use(lock: int) -> None:
    """The kernel's own idea of now is milliseconds behind."""
    now = time.time_ns()
    os.utime(lock, ns=(now, now))


def _last_use(lock: Path) -> int:
    try:
        return lock.stat().st_mtime_ns
    except FileNotFoundError:
        return 0

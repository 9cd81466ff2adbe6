"""Temporary roots last until their process or task ends."""

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.roots import TemporaryRootsDirectory
from app.errors import StorageUnavailable
from app.system import locks
from app.system.workers import Workers

PATH = StorePath.parse("/nix/store/" + "0" * 32 + "-hello")
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from app.builder.nix.roots import TemporaryRootsDirectory
from app.system.workers import Workers

async def main():
    async with TemporaryRootsDirectory(directory=Path(sys.argv[1]), workers=Workers(1)).open() as roots:
        roots.next_root().symlink_to("/nix/store")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def roots_in(directory: Path) -> TemporaryRootsDirectory:
    return TemporaryRootsDirectory(directory=directory, workers=Workers(2))


@pytest.fixture
def other_server(tmp_path: Path) -> TemporaryRootsDirectory:
    return roots_in(tmp_path)


async def test_a_sweep_keeps_the_roots_of_a_running_process(
    tmp_path: Path, other_server: TemporaryRootsDirectory
) -> None:
    async with roots_in(tmp_path).open() as roots:
        roots.next_root().symlink_to(str(PATH))
        await asyncio.to_thread(other_server.sweep)

        assert await asyncio.to_thread(roots.paths) == {PATH}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_removes_the_roots_of_a_killed_process(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2

    roots_in(tmp_path).sweep()

    assert list(tmp_path.iterdir()) == []


def test_two_servers_may_sweep_at_once(
    tmp_path: Path, other_server: TemporaryRootsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.lock").touch()
    take = locks.take
    found: list[Path] = []

    def overtaken(path: Path, mode: int, flags: int) -> int | None:
        if not found:
            found.append(path)
            other_server.sweep()
        return take(path, mode, flags)

    monkeypatch.setattr(locks, "take", overtaken)

    roots_in(tmp_path).sweep()

    assert found
    assert list(tmp_path.iterdir()) == []


async def test_a_lock_that_a_sweep_removes_before_it_is_locked_is_replaced(
    tmp_path: Path, other_server: TemporaryRootsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    sweeps: list[int] = []

    def overtaken(descriptor: int, operation: int) -> None:
        if not sweeps:
            sweeps.append(descriptor)
            other_server.sweep()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)

    async with roots_in(tmp_path).open() as roots:
        await asyncio.to_thread(other_server.sweep)
        roots.next_root().symlink_to(str(PATH))

        assert await asyncio.to_thread(roots.paths) == {PATH}
    assert sweeps
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_reported_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir
    open_before = _open_files()

    def full(path: Path, *arguments: object, **keywords: object) -> object:
        if path.parent == tmp_path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, *arguments, **keywords)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Path, "mkdir", full)

    with pytest.raises(StorageUnavailable, match="server's state directory is full;") as failure:
        async with roots_in(tmp_path).open():
            pass

    assert str(tmp_path) not in str(failure.value)
    assert list(tmp_path.iterdir()) == []
    assert _open_files() <= open_before


async def test_roots_that_cannot_be_removed_are_swept_later(
    tmp_path: Path, other_server: TemporaryRootsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_before = _open_files()

    def read_only(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path), missing_ok)

    with monkeypatch.context() as patch:
        async with roots_in(tmp_path).open():
            patch.setattr(Path, "unlink", read_only)
    assert _open_files() <= open_before
    assert list(tmp_path.iterdir()) != []

    await asyncio.to_thread(other_server.sweep)

    assert list(tmp_path.iterdir()) == []


def test_a_broken_state_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageUnavailable, match="state directory does not work"):
        roots_in(tmp_path / "file").sweep()


@pytest.mark.parametrize("step", [(os, "open"), (Path, "mkdir")])
async def test_a_task_cancelled_while_it_opens_roots_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[object, str]
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real = getattr(*step)
    open_before = _open_files()

    def slow(path: Path, *arguments: object, **keywords: object) -> object:
        result = real(path, *arguments, **keywords)
        if path.parent == tmp_path:
            reached.set()
            go_on.wait(10)
        return result

    async def take() -> None:
        async with roots_in(tmp_path).open():
            await asyncio.sleep(10)

    with monkeypatch.context() as patch:
        patch.setattr(*step, slow)
        task = asyncio.create_task(take())
        assert await anyio.to_thread.run_sync(reached.wait, 10)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert list(tmp_path.iterdir()) == []
    assert _open_files() <= open_before


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("cancelled", [False, True])
async def test_roots_are_removed_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    removed_by: list[int] = []
    unlink = Path.unlink

    def watched(path: Path, *, missing_ok: bool = False) -> None:
        removed_by.append(threading.get_ident())
        unlink(path, missing_ok=missing_ok)

    async def take(opened: asyncio.Event) -> None:
        async with roots_in(tmp_path).open():
            opened.set()
            if cancelled:
                await asyncio.Event().wait()

    monkeypatch.setattr(Path, "unlink", watched)
    opened = asyncio.Event()
    task = asyncio.create_task(take(opened))
    await opened.wait()
    if cancelled:
        task.cancel()
    await asyncio.wait({task})

    assert len(removed_by) == 1
    assert removed_by[0] != threading.get_ident()
    assert list(tmp_path.iterdir()) == []

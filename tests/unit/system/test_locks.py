"""Locks between processes: two descriptors of one process are as much apart as two processes."""

import asyncio
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from app.system import locks
from app.system.locks import EXCLUSIVE, SHARED, locked, try_exclusive
from app.system.workers import Workers
from tests.waiting import turns, until

WORKERS = Workers(4)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "directory" / "one.lock"


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = _open_files()
    yield
    assert _open_files() <= before


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What each attempt to take a lock returned; None where another one holds it."""
    made: list[int | None] = []
    real = locks.take

    def take(path: Path, mode: int, flags: int) -> int | None:
        made.append(descriptor := real(path, mode, flags))
        return descriptor

    monkeypatch.setattr(locks, "take", take)
    return made


async def test_an_exclusive_lock_waits_for_shared_ones(lock: Path) -> None:
    async with locked(lock, SHARED, workers=WORKERS), locked(lock, SHARED, workers=WORKERS):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), locked(lock, EXCLUSIVE, workers=WORKERS):
                pass
        with try_exclusive(lock) as held:
            assert not held

    async with locked(lock, EXCLUSIVE, workers=WORKERS):
        with try_exclusive(lock) as held:
            assert not held
    with try_exclusive(lock) as held:
        assert held


async def test_a_waiter_for_a_removed_file_locks_the_new_one(
    lock: Path, attempts: list[int | None]
) -> None:
    async with locked(lock, EXCLUSIVE, workers=WORKERS):
        waiting = asyncio.create_task(_inode(lock))
        await until(lambda: None in attempts)
        lock.unlink()

    assert await waiting == lock.stat().st_ino


def make_again(lock: Path) -> None:
    lock.unlink()
    lock.touch()


@pytest.mark.parametrize("other_process", [Path.unlink, make_again])
def test_a_file_removed_since_it_was_opened_is_not_a_lock(
    lock: Path, monkeypatch: pytest.MonkeyPatch, other_process: Callable[[Path], None]
) -> None:
    lock.parent.mkdir()
    lock.touch()
    flock = fcntl.flock

    def overtaken(descriptor: int, operation: int) -> None:
        other_process(lock)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)

    with try_exclusive(lock) as held:
        assert not held


def test_an_absent_file_is_not_a_lock(lock: Path) -> None:
    with try_exclusive(lock) as held:
        assert not held


def test_a_lock_is_released_after_an_error(lock: Path) -> None:
    lock.parent.mkdir()
    lock.touch()

    with pytest.raises(IsADirectoryError), try_exclusive(lock):
        lock.parent.unlink()
    with try_exclusive(lock) as held:
        assert held


@pytest.mark.parametrize("by", ["asyncio", "anyio"])
@pytest.mark.parametrize("step", [(os, "open"), (fcntl, "flock"), (os, "fstat")])
async def test_a_lock_is_released_if_the_task_is_cancelled_at_any_step(
    lock: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[object, str], by: str
) -> None:
    lock.parent.mkdir()
    reached, go_on = threading.Event(), threading.Event()
    real = getattr(*step)

    def slow(*arguments: object) -> object:
        result = real(*arguments)
        if threading.current_thread() is not threading.main_thread():
            reached.set()
            go_on.wait(10)
        return result

    async def take(scope: anyio.CancelScope) -> None:
        with scope:
            async with locked(lock, EXCLUSIVE, workers=WORKERS):
                await asyncio.sleep(10)

    with monkeypatch.context() as patch:
        patch.setattr(*step, slow)
        scope = anyio.CancelScope()
        task = asyncio.create_task(take(scope))
        assert await anyio.to_thread.run_sync(reached.wait, 10)
        if by == "anyio":
            scope.cancel()
        else:
            task.cancel()
        go_on.set()
        await asyncio.wait({task})

    with try_exclusive(lock) as held:
        assert held


async def test_a_lock_is_released_if_its_waiter_or_holder_is_cancelled(
    lock: Path, attempts: list[int | None]
) -> None:
    async with locked(lock, EXCLUSIVE, workers=WORKERS):
        waiting = asyncio.create_task(_inode(lock))
        await until(lambda: None in attempts)
        waiting.cancel()
        await asyncio.wait({waiting})
    attempts.clear()
    holding = asyncio.create_task(_inode(lock, seconds=60))
    await until(lambda: attempts)
    await turns()
    holding.cancel()
    await asyncio.wait({holding})

    with try_exclusive(lock) as held:
        assert held


async def _inode(lock: Path, seconds: float = 0) -> int:
    async with locked(lock, EXCLUSIVE, workers=WORKERS) as descriptor:
        await asyncio.sleep(seconds)
        return os.fstat(descriptor).st_ino


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))

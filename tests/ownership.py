"""Processes that tests start end with the test or the fixture that started them.

A test that fails in the middle would leave its processes to the next tests, which would then fail
because of their warnings.
"""

import os
import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 10


class Owner:
    """A test, a fixture or the session: ends what was started while it was the current one."""

    def __init__(self) -> None:
        self.failed = False
        self._processes: list[subprocess.Popen[Any]] = []

    def add(self, process: subprocess.Popen[Any]) -> None:
        self._processes.append(process)

    def end(self) -> list[str]:
        """End what still runs, the latest first; return the command lines."""
        running = [process for process in reversed(self._processes) if process.poll() is None]
        for process in reversed(self._processes):
            _end(process)
        self._processes.clear()
        return [f"{process.args}" for process in running]


_owners = [Owner()]
_ITEM = pytest.StashKey[Owner]()


def current_owner() -> Owner:
    """Return the innermost fixture that is set up, or the test that runs."""
    return _owners[-1]


def start_process(
    command: Sequence[str | Path],
    owner: Owner | None = None,
    **options: Any,  # noqa: ANN401  # of Popen
) -> subprocess.Popen[Any]:
    """Start a process for its owner, which is the current one without another."""
    process: subprocess.Popen[Any] = subprocess.Popen(command, **options)
    (owner or current_owner()).add(process)
    return process


@contextmanager
def _owning(owner: Owner) -> Iterator[None]:
    _owners.append(owner)
    try:
        yield
    finally:
        _owners.remove(owner)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    owner = Owner()
    # Finalizers are called in reverse order, so the fixture ends its processes itself before.
    fixturedef.addfinalizer(owner.end)
    with _owning(owner):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    owner = item.stash[_ITEM] = Owner()
    with _owning(owner):
        try:
            yield
        except BaseException:
            owner.failed = True
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """End what the fixtures of the test have not ended, which is an error unless it failed."""
    try:
        yield
    finally:
        owner = item.stash.get(_ITEM, Owner())
        left = owner.end()
    assert owner.failed or not left, f"the test left processes: {', '.join(left)}"


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        leads_group = os.getpgid(process.pid) == process.pid
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS)
        with suppress(ProcessLookupError):
            (os.killpg if leads_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()

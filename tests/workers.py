"""How tests share a machine: the order in which workers get files, and tests that run alone.

``make test`` runs two workers (pytest-xdist), and a file's tests stay together. Files with the
longest tests come first, so that no worker is left with one at the end.
"""

import fcntl
import gc
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# Files of tests/e2e that take longest, longest first.
LONG_FILES = (
    "test_years.py",
    "test_forging.py",
    "test_newer_nix.py",
    "test_own_image.py",
    "test_evaluators.py",
    "test_reaching.py",
    "test_transient_faults.py",
    "test_binary_caches.py",
    "test_build.py",
    "test_layers.py",
    "test_pull.py",
    "test_realisation.py",
    "test_package_set_anew.py",
)
# Other files, by the slowest kind of test in them.
KINDS = ("e2e", "nix", "slow")
# The marks of all tests of a file.
_FILE_MARKS = re.compile(r"^pytestmark = (.*)$", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files of a kind that ``-m`` leaves out: imports are most of collecting."""
    left_out = set(re.findall(r"not (\w+)", config.getoption("markexpr")))
    if "e2e" in left_out and collection_path.is_relative_to(config.rootpath / "tests/e2e"):
        return True
    if not left_out or collection_path.suffix != ".py":
        return None
    marks = _FILE_MARKS.search(collection_path.read_text())
    kinds = re.findall(r"mark\.(\w+)", marks[1]) if marks else []
    return True if left_out.intersection(kinds) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not look for garbage while collecting, nor later among what was collected."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with the longest tests first; the order within a file stays."""
    kinds: dict[Path, int] = {}
    for item in items:
        kinds[item.path] = min(_kind(item), kinds.get(item.path, len(KINDS)))
    items.sort(key=lambda item: (_rank(item.path, LONG_FILES), kinds[item.path]))


def _rank(path: Path, files: Sequence[str]) -> int:
    return files.index(path.name) if path.name in files else len(files)


def _kind(item: pytest.Item) -> int:
    marked = [n for n, kind in enumerate(KINDS) if item.get_closest_marker(kind)]
    return min(marked, default=len(KINDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked ``alone`` while no other worker runs one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return (yield)
    directory = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with _turn(directory, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(directory: Path, *, alone: bool) -> Iterator[None]:
    """Hold a shared lock, or the exclusive one.

    A waiter for the exclusive lock holds a second one, the gate, where later tests queue.
    """
    with (directory / "gate").open("w") as gate, (directory / "turn").open("w") as turn:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            # Also where a process that a test forked has inherited the file.
            fcntl.flock(turn, fcntl.LOCK_UN)

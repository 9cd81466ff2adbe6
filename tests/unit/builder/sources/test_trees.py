import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.builder.sources import trees as module
from app.builder.sources.trees import Trees
from app.builder.sources.unpacking import UnpackingFailed
from app.system.workers import Workers
from tests.waiting import turns

WORKERS = Workers(4)
FILES = 3
# Directories are emptied in any order: here the tree goes before the rest, and not to its end.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from app.system.workers import Workers
from app.builder.sources import trees as module

def remove_tree(directory):
    for file in directory.glob("source/*"):
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

async def make(path):
    (path / "file").touch()

async def main(name):
    trees = module.Trees(directory=Path(sys.argv[1]), workers=Workers(1), keep=1)
    async with trees.tree("place", name, make):
        pass

module.remove_tree = remove_tree
asyncio.run(main(sys.argv[2]))
"""


class Made:
    """Creates trees of one file, and counts them."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, path: Path) -> None:
        self.times += 1
        await turns()
        (path / "file").write_text("content")


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(directory=tmp_path, workers=WORKERS, keep=2)


def restart_machine(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    (directory / "boot").write_text("another")
    monkeypatch.setattr(module, "_BOOT", directory / "boot")


async def use(trees: Trees, name: str, made: Made, place: str = "place") -> None:
    async with trees.tree(place, name, made) as tree:
        assert (tree / "file").read_text() == "content"


@pytest.mark.slow
async def test_tree_is_made_once_for_concurrent_callers(trees: Trees, tmp_path: Path) -> None:
    made = Made()
    other_process = Trees(directory=tmp_path, workers=WORKERS, keep=2)

    await asyncio.gather(*(use(t, "a", made) for t in (trees, other_process) for _ in range(5)))

    assert made.times == 1


async def test_trees_of_different_places_are_separate(trees: Trees) -> None:
    first, second = Made(), Made()
    await use(trees, "a", first)

    async with (
        trees.tree("place", "a", first) as tree,
        trees.tree("elsewhere", "a", second) as other,
    ):
        assert tree != other
    assert (first.times, second.times) == (1, 1)


async def test_tree_of_an_earlier_version_is_removed(trees: Trees, tmp_path: Path) -> None:
    earlier = tmp_path / "a" / "source"
    earlier.mkdir(parents=True)
    (earlier / "file").write_text("anybody's")
    (tmp_path / "a.lock").touch()

    for name in ("a", "b"):
        await use(trees, name, Made())

    left = {entry.name for entry in tmp_path.iterdir() if entry.is_dir()}
    assert left == {"place-a", "place-b"}


async def test_failed_tree_is_made_the_next_time(trees: Trees) -> None:
    async def fail(path: Path) -> None:
        (path / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        async with trees.tree("place", "a", fail):
            pass

    async with trees.tree("place", "a", Made()) as tree:
        assert [entry.name for entry in tree.iterdir()] == ["file"]


@pytest.mark.slow
async def test_least_recently_used_trees_are_removed(trees: Trees, tmp_path: Path) -> None:
    made = Made()
    for name in ("a", "b", "a", "c"):
        await use(trees, name, made)

    assert {entry.name for entry in tmp_path.iterdir() if entry.is_dir()} == {"place-a", "place-c"}
    await use(trees, "b", made)
    assert made.times == 4


async def test_trees_that_were_used_before_the_clock_was_set_back_are_removed_first(
    trees: Trees, tmp_path: Path
) -> None:
    made = Made()
    for name in ("a", "b"):
        await use(trees, name, made)
        next_year = time.time() + 365 * 86400
        os.utime(tmp_path / f"place-{name}.lock", (next_year, next_year))

    for _ in range(2):
        for name in ("c", "d"):
            await use(trees, name, made)

    assert made.times == 4
    assert {entry.name for entry in tmp_path.iterdir() if entry.is_dir()} == {"place-c", "place-d"}


async def test_a_process_that_is_stopped_while_it_makes_a_tree_delays_others_for_a_time(
    trees: Trees, tmp_path: Path
) -> None:
    other = Trees(directory=tmp_path, workers=WORKERS, keep=2, seconds=0.1)

    async def make(path: Path) -> None:
        (path / "file").write_text("content")
        with pytest.raises(UnpackingFailed, match=r"has not unpacked them within 0\.1 s"):
            async with asyncio.timeout(20):
                await use(other, "a", Made())

    async with trees.tree("place", "a", make):
        pass

    made = Made()
    await use(other, "a", made)
    assert made.times == 0


async def test_tree_in_use_is_not_removed(trees: Trees) -> None:
    made = Made()
    async with trees.tree("place", "a", made) as tree:
        for name in ("b", "c", "d"):
            await use(trees, name, made)

        assert (tree / "file").exists()


async def test_tree_damaged_by_a_power_cut_is_made_again(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    async with trees.tree("place", "a", made) as tree:
        (tree / "file").write_text("")
    restart_machine(monkeypatch, tmp_path)

    await use(Trees(directory=tmp_path, workers=WORKERS, keep=2), "a", made)

    assert made.times == 2


async def test_complete_tree_survives_a_restart_of_the_machine(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    await use(trees, "a", made)
    restart_machine(monkeypatch, tmp_path)

    await use(Trees(directory=tmp_path, workers=WORKERS, keep=2), "a", made)

    assert made.times == 1


async def test_a_full_disk_after_a_restart_of_the_machine_leaves_the_tree(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    await use(trees, "a", made)
    restart_machine(monkeypatch, tmp_path)

    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", fail_without_space)
        await use(trees, "a", made)

    await use(trees, "a", made)
    assert made.times == 1


async def test_a_tree_that_cannot_be_removed_does_not_fail_another(
    trees: Trees, tmp_path: Path
) -> None:
    made = Made()
    (tmp_path / "place-older.lock").mkdir()
    for name in ("a", "b", "c"):
        await use(trees, name, made)

    assert made.times == 3


@pytest.mark.slow
@pytest.mark.parametrize("later", ["a process that knew it", "a new process"])
async def test_incomplete_tree_of_a_killed_process_is_made_again(
    tmp_path: Path, later: str
) -> None:
    made = Several()
    trees = Trees(directory=tmp_path, workers=WORKERS, keep=9)
    assert await count(trees, made) == FILES
    child = await asyncio.to_thread(killed, tmp_path, "b")
    assert child.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "place-a" / "source").iterdir())) == FILES - 1
    if later == "a new process":
        trees = Trees(directory=tmp_path, workers=WORKERS, keep=9)

    assert await count(trees, made) == FILES
    assert made.times == 2


@pytest.mark.slow
async def test_removal_continues_after_the_process_was_killed(tmp_path: Path) -> None:
    """The incomplete tree is replaced by a complete one, which is removed later."""
    trees = Trees(directory=tmp_path, workers=WORKERS, keep=9)
    await count(trees, Several())
    (tmp_path / "place-a" / "fingerprint").write_text("2 another tree")
    assert (await asyncio.to_thread(killed, tmp_path, "a")).returncode == -signal.SIGKILL

    assert await count(trees, Several()) == FILES


async def test_a_tree_that_an_earlier_version_made_is_made_again(tmp_path: Path) -> None:
    trees = Trees(directory=tmp_path, workers=WORKERS, keep=9)
    made = Several()
    await count(trees, made)
    fingerprint = tmp_path / "place-a" / "fingerprint"
    fingerprint.write_text(" ".join(fingerprint.read_text().split()[1:]))

    assert await count(trees, made) == FILES
    assert made.times == 2


def fail_without_space(file: Path, text: str) -> int:
    """A full disk truncates a file, and does not take what is written to it."""
    with file.open("w"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), text)


class Several(Made):
    async def __call__(self, path: Path) -> None:
        await super().__call__(path)
        for number in range(1, FILES):
            (path / f"file{number}").touch()


async def count(trees: Trees, made: Several) -> int:
    async with trees.tree("place", "a", made) as tree:
        return len(list(tree.iterdir()))


def killed(directory: Path, name: str) -> subprocess.CompletedProcess[bytes]:
    """Blocking.  While it removes the tree of "a"."""
    return subprocess.run([sys.executable, "-c", KILLED, directory, name], check=False)

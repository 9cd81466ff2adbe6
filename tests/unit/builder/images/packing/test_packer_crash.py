"""A crash at any line leaves whole blobs and records of stored blobs; packing continues."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.records.envelope import unseal
from tests.unit.builder.images.packing import killed
from tests.unit.builder.images.packing.trees import Node, plant_path, store_path

ROUNDS = 12


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From a small path to one of several blocks."""
    store = tmp_path_factory.mktemp("store")
    noise = random.randbytes(700_000)
    for number in range(1, 6):
        tree: Node = {b"a": noise * number, b"d": {b"x": b"y" * number}}
        plant_path(store, store_path(number, f"p{number}-1"), tree)
    return store


def pack_until(line: int, storage: Path, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", killed.__name__, storage, store, str(line)],
        cwd=Path(__file__).parents[5],
        env=os.environ | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def assert_sound(storage: Path) -> None:
    for blob in storage.glob("blobs/sha256/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    for record in storage.glob("[!b.]*/*"):
        opened = unseal(record.read_bytes())
        value = json.loads(opened.value)
        descriptor = value.get("layer", value)["descriptor"]
        assert [str(digest) for digest in opened.head.references] == [descriptor["digest"]]
        blob = storage / "blobs" / "sha256" / descriptor["digest"].partition(":")[2]
        assert blob.stat().st_size == descriptor["size"]


@pytest.mark.slow
async def test_packing_after_crashes_at_any_lines_makes_the_same_layers(
    tmp_path: Path, store: Path
) -> None:
    expected = await killed.pack(tmp_path / "undisturbed", store)
    whole = pack_until(10**9, tmp_path / "counted", store)
    assert whole.returncode == 0
    lines = int(whole.stdout)

    for number in range(ROUNDS):
        storage = tmp_path / str(number)
        for line in (random.randrange(1, lines), random.randrange(1, lines // 2)):
            done = pack_until(line, storage, store)
            # It may have ended before: the second has less to do.
            assert done.returncode in {-signal.SIGKILL, 0}, line
            assert_sound(storage)

        # The trial file of a start that was killed is removed when it is old.
        for left in storage.glob(".staging/*"):
            os.utime(left, (0, 0))
        assert await killed.pack(storage, store) == expected
        assert_sound(storage)
        assert list((storage / ".staging").iterdir()) == []

"""Two hundred pulls with faults and kills at random: right layers, or an error; nothing wrong."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.errors import RegistryError
from app.storage.filesystem import FilesystemStorage
from scripts.channel.server import Channel
from scripts.channel.serving import serving
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.killed import pack
from tests.unit.builder.nix.substitution.test_faults import LASTING, TRANSIENT, UNTRUSTED
from tests.unit.builder.nix.substitution.world import KEY, Contents, World, fill, opened

pytestmark = [pytest.mark.slow, pytest.mark.full]

RUNS = 200
KILLS = 20
PATHS = [store_path(number, f"p{number}") for number in range(12)]
ROOT = PATHS[0]
REFERENCES = {path: PATHS[number + 1 : number + 4] for number, path in enumerate(PATHS)}


def contents(seed: int) -> Contents:
    chance = random.Random(seed)
    return {
        path: {b"f": chance.randbytes(chance.randrange(1, 400_000)), b"s": b"x" * 100_000}
        for path in PATHS
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("cache"), contents(1), REFERENCES)


async def expected(directory: Path, tmp_path: Path) -> list[str]:
    with opened(World(tmp_path, [Channel(directory)])) as world:
        return await pack(world, FilesystemStorage(tmp_path / "expected"), ROOT)


def check_blobs(storage: Path) -> None:
    for blob in (storage / "blobs").glob("sha256/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


async def test_faults_at_random(directory: Path, tmp_path: Path) -> None:
    wanted = await expected(directory, tmp_path)
    outcomes = {"right": 0, "refused": 0}
    for seed in range(RUNS):
        chance = random.Random(seed)
        channel = Channel(directory, ranges=chance.random() < 0.5)
        kinds = [kind for _, kind in LASTING.values()] + [kind for _, kind in TRANSIENT]
        for _ in range(chance.randrange(1, 4)):
            victim: StorePath = chance.choice(PATHS)
            pattern = chance.choice(["/nar/", rf"/{victim.hash_part}\.narinfo"])
            is_edit = pattern != "/nar/" and chance.random() < 0.3
            kind = chance.choice([*UNTRUSTED.values()] if is_edit else kinds)
            channel.fail(pattern, kind, times=chance.choice([1, 2, 1_000_000]))
        home = tmp_path / str(seed)
        home.mkdir()
        storage = FilesystemStorage(home / "storage")
        with opened(World(home, [channel])) as world:
            try:
                found = await pack(world, storage, ROOT)
                # A path without a trusted narinfo is left to Nix, and so is what refers to it.
                assert found == wanted or world.job.remotes.keys() != set(PATHS), seed
                outcomes["right"] += found == wanted
            except RegistryError:
                outcomes["refused"] += 1
            assert world.left_over == [], seed
            channel.heal()
            assert await pack(world, storage, ROOT) == wanted, seed
        check_blobs(home / "storage")
    assert min(outcomes.values()) > RUNS // 20, outcomes


def kill(channel: Channel, home: Path, *, after: float) -> None:
    """Start a process that packs the root, and kill it after so many seconds."""
    module = "tests.unit.builder.nix.substitution.killed"
    command = [sys.executable, "-m", module, channel.url, KEY.public, str(home), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        process.kill()


async def test_kills_at_random(directory: Path, tmp_path: Path) -> None:
    wanted = await expected(directory, tmp_path)
    with serving(Channel(directory, bandwidth=5_000_000)) as channel:
        for seed in range(KILLS):
            home = tmp_path / f"killed-{seed}"
            home.mkdir()
            kill(channel, home, after=random.Random(seed).random())

            assert list((home / "downloads").glob("*")) == []
            check_blobs(home / "storage")
            world = World(home, [])
            with opened(world):
                world.caches.urls = [channel.url]
                storage = FilesystemStorage(home / "storage")
                assert await pack(world, storage, ROOT) == wanted, seed

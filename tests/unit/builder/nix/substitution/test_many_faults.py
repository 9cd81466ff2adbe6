"""Two hundred pulls with faults and kills at random: right layers, or an error; nothing wrong."""

import asyncio
import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.errors import RegistryError
from app.storage.filesystem import FilesystemStorage
from app.system.retrying import Retries
from scripts.channel.server import Channel
from scripts.channel.serving import serving
from tests.mounting import mounted
from tests.ownership import start_process
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.killed import pack
from tests.unit.builder.nix.substitution.test_faults import LASTING, TRANSIENT, UNTRUSTED, Edit
from tests.unit.builder.nix.substitution.world import KEY, RETRIES, Contents, World, fill, opened

pytestmark = [pytest.mark.slow, pytest.mark.full]

RUNS = 200
KILLS = 20
PATHS = [store_path(number, f"p{number}") for number in range(12)]
ROOT = PATHS[0]
# Wrong in narinfos that a trusted key signed, as by a cache whose disk is broken.
SIGNED = {
    f"signed: {name}": ("narinfo", UNTRUSTED[name]) for name in ("wrong NarHash", "wrong NarSize")
}
KINDS: dict[str, tuple[str, int | str | Edit]] = {
    **LASTING,
    **{f"{kind} for {pattern}": (pattern, kind) for pattern, kind in TRANSIENT},
    **{name: ("narinfo", edit) for name, edit in UNTRUSTED.items()},
    **SIGNED,
    "silence": ("/nar/", "silence"),
    "silent narinfo": ("narinfo", "silence"),
    "slow": ("/nar/", "slow"),
}
DOWN, FULL = "cache down", "full disk"
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


def add_faults(name: str, channel: Channel, chance: random.Random) -> None:
    """Add the fault, and up to two others, each for some requests or for all."""
    names = [name, *chance.sample(sorted(KINDS), chance.randrange(3))] if name in KINDS else []
    for fault in names:
        pattern, kind = KINDS[fault]
        victim = chance.choice(PATHS)
        where = "/nar/" if pattern == "/nar/" else rf"/{victim.hash_part}\.narinfo"
        channel.fail(where, kind, times=chance.choice([1, 2, 1_000_000]))


@contextmanager
def little_room(directory: Path, size: int) -> Iterator[Path]:
    """Yield a directory with so much room, and with a file that takes up more."""
    with mounted(("-t", "tmpfs", "-o", "size=16m", "tmpfs"), directory) as disk:
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - size))
        yield disk


async def stop(channel: Channel, served: ExitStack, requests: int) -> None:
    """Stop the cache after so many requests."""
    loop, reached = asyncio.get_running_loop(), asyncio.Event()

    def count(_: str) -> None:
        if len(channel.requests) >= requests:
            loop.call_soon_threadsafe(reached.set)

    channel.on_request = count
    await reached.wait()
    await asyncio.to_thread(served.close)
    channel.on_request = lambda _: None


async def pull(world: World, home: Path) -> list[str] | None:
    """Return the diff IDs; None if the pull is refused."""
    try:
        async with asyncio.timeout(120):
            return await pack(world, FilesystemStorage(home / "storage"), ROOT)
    except RegistryError:
        return None


async def attempt(
    name: str, directory: Path, home: Path, wanted: list[str], chance: random.Random
) -> bool:
    """Pull during the fault and after it; return whether the first pull succeeded."""
    channel = Channel(directory, ranges=chance.random() < 0.5)
    add_faults(name, channel, chance)
    with ExitStack() as stack:
        served = stack.enter_context(ExitStack())
        served.enter_context(serving(channel))
        if name == FULL:
            home = stack.enter_context(little_room(home, chance.randrange(100_000, 3_000_000)))
        hasty = any(fault.kind in {"silence", "slow"} for fault in channel.faults)
        world = World(
            home,
            [],
            required=name not in SIGNED,
            retries=Retries(0, 0) if hasty else RETRIES,
            seconds=2 if hasty else 60,
            stall_seconds=1 if hasty else 5,
        )
        stack.enter_context(opened(world))
        world.caches.urls = [channel.url]
        pulling = asyncio.create_task(pull(world, home))
        if name == DOWN:
            await stop(channel, served, chance.randrange(20))
        found = await pulling
        # A path without a trusted narinfo is left to Nix, and so is what refers to it.
        assert found in (None, wanted) or world.job.remotes.keys() != set(PATHS)
        assert world.left_over == []

        channel.heal()
        (home / "filler").unlink(missing_ok=True)
        world.seconds = 60
        if name == DOWN:
            served.enter_context(serving(channel))
        assert await pull(world, home) == wanted
        check_blobs(home / "storage")
    return found == wanted


async def test_faults_at_random(directory: Path, tmp_path: Path) -> None:
    wanted = await expected(directory, tmp_path)
    names = [*KINDS, DOWN, FULL]
    right = 0
    for seed in range(RUNS):
        name = names[seed % len(names)]
        home = tmp_path / str(seed)
        home.mkdir()
        try:
            right += await attempt(name, directory, home, wanted, random.Random(seed))
        except BaseException as error:
            error.add_note(f"fault {name!r}, seed {seed}")
            raise
    assert RUNS // 20 < right < RUNS - RUNS // 20, right


def kill(channel: Channel, home: Path, *, after: float) -> None:
    """Start a process that packs the root, and kill it after so many seconds."""
    module = "tests.unit.builder.nix.substitution.killed"
    command = [sys.executable, "-m", module, channel.url, KEY.public, str(home), str(ROOT)]
    process = start_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    process.kill()
    process.wait()


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

"""Packing against tar and gzip, on the same store paths in the same run.

usage: bench/packing.py [--packages DIRECTORY] [--rounds N] [--workers N] [SUBJECT...]

Subjects: gcc, python3, ffmpeg, shell+git, small-files, everything.  Rounds of all competitors
alternate and the best of each counts, because other work on the machine varies.  Ours includes a
server's work: both hashes, files and records synced to the disk, on the server's event loop.  The
others' output is not synced.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.programs.local_store import LocalStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.system.cpus import usable_cpus
from app.system.workers import Workers
from bench import common
from bench.common import STORE, Cost, Missing

PACKAGES = {
    "gcc": ("gcc",),
    "python3": ("python3",),
    "ffmpeg": ("ffmpeg",),
    "shell+git": ("bashInteractive", "coreutils", "moreutils", "nano", "git"),
}
ALWAYS = ("cacert", "iana-etc")
SMALL_FILES = 10_000
EVERYTHING = 2_000_000_000
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Store paths to pack; ``size`` and ``files`` are those of the contents."""

    name: str
    store: Path
    paths: tuple[str, ...]
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    cost: Cost
    packed: int


def main() -> None:
    arguments = parse()
    packages = arguments.packages or common.full_set() or common.small_set()
    names = arguments.subject or [*PACKAGES, "small-files", "everything"]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="bench-packing-") as directory:
        scratch = Path(directory)
        for name in names:
            print(f"\n{name}: ", end="")
            try:
                subject = find(name, scratch, packages)
            except Missing as missing:
                print(f"left out: {missing}")
                continue
            print(f"{len(subject.paths)} store paths, {subject.files} files, {mb(subject.size)} MB")
            compare(subject, scratch, arguments.rounds, arguments.workers)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=Path, help="default: the full set, else the small one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=usable_cpus())
    parser.add_argument("subject", nargs="*")
    return parser.parse_args()


def find(name: str, scratch: Path, packages: Path) -> Subject:
    if name == "small-files":
        return weigh(name, scratch / "store", [plant_small_files(scratch / "store")])
    if name == "everything":
        return everything()
    paths = common.closure((*PACKAGES.get(name, (name,)), *ALWAYS), packages)
    return weigh(name, STORE, [path.name for path in paths])


def weigh(name: str, store: Path, paths: Sequence[str]) -> Subject:
    size = files = 0
    for path in paths:
        counted, weighed = content(store / path)
        files += counted
        size += weighed
    return Subject(name, store, tuple(paths), size, files)


def content(path: Path) -> tuple[int, int]:
    if not path.is_dir() or path.is_symlink():
        return 1, path.lstat().st_size
    files = size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            files += 1
            size += os.lstat(f"{directory}/{name}").st_size
    return files, size


def everything() -> Subject:
    """Return packages of the store, two gigabytes in all."""
    chosen, size, files = [], 0, 0
    for path in sorted(STORE.glob("*-*")) if STORE.exists() else ():
        if path.suffix in {".drv", ".deb", ".lock", ".chroot"} or not (path / "bin").is_dir():
            continue
        counted, weighed = content(path)
        chosen.append(path.name)
        files += counted
        size += weighed
        if size >= EVERYTHING:
            return Subject("everything", STORE, tuple(chosen), size, files)
    raise Missing(f"the store has only {mb(size)} MB of packages")


def plant_small_files(store: Path) -> str:
    base = f"{'0' * 32}-small-files"
    source = random.Random(1)
    words = [source.randbytes(3).hex() for _ in range(500)]
    for number in range(SMALL_FILES):
        path = store / base / f"share/directory-{number // 100}/file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # From a hundred bytes to sixteen thousand, mostly small: 3 kB on average.
        size = int(100 * 160 ** source.random())
        path.write_text(" ".join(source.choices(words, k=size // 7)))
    return base


def compare(subject: Subject, scratch: Path, rounds: int, workers: int) -> None:
    competitors = ["gzip -6", "pigz -6 -p 2"] if subject.name != "everything" else []
    if not shutil.which("pigz"):
        competitors = [name for name in competitors if not name.startswith("pigz")]
        print("  (pigz is not installed)")
    best: dict[str, Result] = {}
    ours: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name in competitors:
            keep(best, tar_through(name, subject, scratch))
        for name in ("gzip", "zstd"):
            result, details = pack(name, subject, scratch, workers)
            if keep(best, result):
                ours[result.name] = details
    report(subject, best, ours)


def keep(best: dict[str, Result], result: Result) -> bool:
    known = best.get(result.name)
    if known is None or result.cost.wall < known.cost.wall:
        best[result.name] = result
        return True
    return False


def tar_through(compressor: str, subject: Subject, scratch: Path) -> Result:
    output, names = scratch / "output", scratch / "names"
    names.write_text("\n".join(subject.paths))
    pipe = f"tar --sort=name --hard-dereference -cf - -T {names} | {compressor} > {output}"
    cost = common.measure(["sh", "-c", pipe], directory=subject.store)
    return Result(f"tar | {compressor}", cost, output.stat().st_size)


def pack(
    name: str, subject: Subject, scratch: Path, workers: int
) -> tuple[Result, dict[str, float]]:
    """Pack in a new process, so that its memory can be measured.

    Storage is removed at the end, because ext4 creates files slowly for minutes after a removal.
    Subjects without a baseline have gigabytes, and are removed at once.
    """
    storage = Path(tempfile.mkdtemp(dir=scratch, prefix="storage-"))
    parameters = {"codec": name, "storage": str(storage), "workers": workers}
    request = json.dumps(parameters | asdict(subject), default=str)
    answer = subprocess.run(
        [sys.executable, __file__, "--child"],
        input=request,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    if subject.size >= EVERYTHING:
        shutil.rmtree(storage)
    details: dict[str, float] = json.loads(answer)
    cost = Cost(details["wall"], details["cpu"], int(details["memory"]))
    return Result(f"ours, {name}", cost, int(details["packed"])), details


def report(subject: Subject, best: dict[str, Result], ours: dict[str, dict[str, float]]) -> None:
    baseline = next(iter(best.values())).cost.wall
    print("                      seconds   times    MB/s   files/s  CPU s   peak MB   ratio")
    for name, result in best.items():
        cost = result.cost
        print(
            f"  {name:18} {cost.wall:8.2f} {baseline / cost.wall:7.1f} {subject.size / cost.wall / 1e6:7.0f}"
            f" {subject.files / cost.wall:9.0f} {cost.cpu:6.2f} {cost.memory / 1e6:9.0f}"
            f" {subject.size / result.packed:7.2f}"
        )
    for name, details in ours.items():
        print(
            f"  {name}: event loop late by {details['worst'] * 1e3:.1f} ms at worst"
            f" ({details['idle'] * 1e3:.1f} ms with nothing to do),"
            f" {details['typical'] * 1e3:.2f} ms in 99 of 100 ticks;"
            f" all in one layer {details['regrouped']:.2f} s;"
            f" the same again {details['again'] * 1e3:.1f} ms, {details['compressed']:.0f} bytes compressed"
        )


def mb(size: float) -> str:
    return f"{size / 1e6:.0f}"


async def no_closure(_: Sequence[StorePath]) -> Closure:
    """Raise an error: packing reads paths, never their closure."""
    raise NotImplementedError


async def child() -> None:
    request = json.load(sys.stdin)
    paths = [StorePath.parse(base) for base in request["paths"]]
    storage = FilesystemStorage(Path(request["storage"]))
    await storage.start()

    def packer() -> LayerPacker:
        return LayerPacker(
            storage=storage,
            existence=BlobExistenceCache(storage),
            workers=Workers(request["workers"]),
            codecs=codec.find_all(request["codec"]),
            store=LocalStore(Path(request["store"]), query=no_closure),
        )

    first, second = packer(), packer()
    with ticking() as idle:
        await asyncio.sleep(IDLE_SECONDS)
    with ticking() as delays:
        begun, cpu = time.perf_counter(), common.own_cpu()
        layers = await asyncio.gather(*(first.layer([path]) for path in paths))
        wall, cpu = time.perf_counter() - begun, common.own_cpu() - cpu
        begun = time.perf_counter()
        await first.layer(paths)
        regrouped = time.perf_counter() - begun
    begun = time.perf_counter()
    await asyncio.gather(*(second.layer([path]) for path in paths))
    again = time.perf_counter() - begun
    await first.close()
    await second.close()
    delays.sort()
    json.dump(
        {
            "wall": wall,
            "cpu": cpu,
            "memory": common.own_memory(),
            "packed": sum(layer.descriptor.size for layer in layers),
            "idle": max(idle),
            "worst": delays[-1],
            "typical": delays[len(delays) * 99 // 100],
            "regrouped": regrouped,
            "again": again,
            "compressed": second.counters.compressed_bytes,
        },
        sys.stdout,
    )


@contextmanager
def ticking() -> Iterator[list[float]]:
    """Return how many seconds late the event loop runs a task of every millisecond."""
    delays: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            delays.append(time.perf_counter() - due)

    task = asyncio.get_running_loop().create_task(tick())
    yield delays
    task.cancel()


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        uvloop.run(child())
    else:
        main()

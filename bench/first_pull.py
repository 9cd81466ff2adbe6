"""A first pull from a binary cache: packed while it is downloaded, and by way of Nix's store.

usage: bench/first_pull.py [--size MIB] [--paths N] [--compression zstd|xz] [--latency MS]
                           [--bandwidth MBIT] [--rounds N] [--channel DIRECTORY]
                           [--nix own|trixie|sid] [--today REVISION]

Each round starts servers with an empty Nix store, one for each way, and requests one manifest.
``--today`` adds the server of another revision that has no way but Nix's, such as f5cb256.
The baseline is the larger of two times: an ideal client's with 48 connections, and the CPU time of
decompressing, hashing and packing, and of the cache on this machine, over the cores.  On a busy
machine compare with the time of that packing in the same round.  Evaluation ends with the first request for a narinfo.
"""

import argparse
import asyncio
import os
import queue
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pycurl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.binary_cache.narinfo import Substitute, parse_substitute
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.nar_store import Archive, NarStore
from app.builder.nix.substitution.decoding import decoder
from app.builder.nix.substitution.verifying import VerifiedArchive
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.system.workers import Workers
from bench.observing import Lateness, peak
from bench.requests import source_tree
from scripts.channel.contents import make
from tests.e2e.newer_nix import NewerNix, own_nix, unpack_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import Server

_MIB = 1 << 20
_CONNECTIONS = 48
_IMAGE = "/v2/sim/everything/manifests/latest"


@dataclass(frozen=True)
class Pull:
    """Times in seconds; ``memory`` is the peak of the server in bytes."""

    evaluation: float
    rest: float
    memory: int
    lateness: float


class Cache:
    """The channel in a process of its own."""

    def __init__(self, directory: Path, latency: float, bandwidth: float) -> None:
        command = [sys.executable, "-m", "scripts.channel", "serve", str(directory)]
        command += ["--latency", str(latency), "--bandwidth", str(bandwidth)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._line()
        self.first: list[float] = []
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def cpu(self) -> float:
        """Its CPU time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _listen(self) -> None:
        while line := self._line():
            self.first.append(float(line.split()[-1]))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def served(options: argparse.Namespace) -> Iterator[Cache]:
    cache = Cache(options.channel, options.latency, options.bandwidth)
    try:
        yield cache
    finally:
        cache.stop()


def ideal(cache: Cache, root: StorePath) -> float:
    """Return how long a client takes that requests everything as soon as it is known."""
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    seen, left, lock = {root}, [1], threading.Lock()
    waiting.put(f"{root.hash_part}.narinfo")

    def found(document: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in document.decode().splitlines())
        wanted = {StorePath.parse(base) for base in fields["References"].split()}
        with lock:
            new = wanted - seen
            seen.update(new)
            left[0] += len(new) + 1
        for path in new:
            waiting.put(f"{path.hash_part}.narinfo")
        waiting.put(fields["URL"])

    def work() -> None:
        curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.BUFFERSIZE, 256 * 1024)
        while (name := waiting.get()) is not None:
            body: list[bytes] = []
            is_narinfo = name.endswith(".narinfo")
            curl.setopt(pycurl.URL, f"{cache.url}/{name}")
            curl.setopt(pycurl.WRITEFUNCTION, body.append if is_narinfo else len)
            curl.perform()
            if is_narinfo:
                found(b"".join(body))
            with lock:
                left[0] -= 1
                if not left[0]:
                    for _ in range(_CONNECTIONS):
                        waiting.put(None)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def packing(directory: Path, scratch: Path) -> tuple[float, float]:
    """Return how long packing the archives from the disk takes, and its CPU time."""
    narinfos: dict[StorePath, Substitute] = {}
    for file in directory.glob("*.narinfo"):
        text = file.read_bytes()
        path = StorePath.parse(text.split(b"\n", 1)[0].removeprefix(b"StorePath: ").decode())
        narinfos[path] = parse_substitute(text, path)

    @contextmanager
    def opened(path: StorePath) -> Iterator[Archive]:
        narinfo = narinfos[path]
        with (directory / narinfo.url).open("rb") as file:
            source = decoder(narinfo.compression, file.read)
            verified = VerifiedArchive(source, size=narinfo.nar_size, digest=narinfo.nar_hash)
            yield Archive(verified, narinfo.nar_size + 1)

    async def query(_: object) -> Closure:
        return Closure(())

    async def pack() -> None:
        storage = FilesystemStorage(scratch)
        await storage.start()
        packer = LayerPacker(
            storage=storage,
            existence=BlobExistenceCache(storage),
            workers=Workers(os.cpu_count() or 1),
            codecs=codec.find_all("gzip"),
            store=NarStore(opened, query=query),
        )
        await asyncio.gather(*(packer.layer([path]) for path in narinfos))
        await packer.close()

    before, begun = _cpu(), time.perf_counter()
    asyncio.run(pack())
    return time.perf_counter() - begun, _cpu() - before


def pull(
    options: argparse.Namespace,
    cache: Cache,
    nix: NewerNix | None,
    *,
    streaming: bool,
    tree: Path | None = None,
) -> Pull:
    """Start a server, of this source tree or another one, and request the manifest from it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        within = (nix.with_store(Path(home)) if nix else own_nix(Path(home))).within
        key = (options.channel / "public").read_text()
        environment = {
            "PATH": nix.path if nix else SYSTEM_PATH,
            "NIX_CONFIG": f"trusted-public-keys = {key}\nbuild-users-group =",
        }
        if tree is None:
            environment |= _settings(options, cache, Path(home), streaming=streaming)
            server = Server(Path(home), options.channel / "set", within, **environment)
        else:
            environment["NIX_CONFIG"] += f"\nsubstituters = {cache.url}"
            packages = _with_base(options.channel / "set", Path(home, "set"))
            server = Server(Path(home), packages, (*within, "env", "-C", str(tree)), **environment)
        server.start()
        try:
            return _pull(server, cache, _IMAGE if tree is None else _IMAGE.replace("/sim", ""))
        finally:
            server.stop()


def _pull(server: Server, cache: Cache, address: str) -> Pull:
    cache.first.clear()
    late = Lateness(server)
    begun = time.time()
    try:
        response = server.get(address, timeout=1200)
    finally:
        lateness = late.stop()
    ended = time.time()
    assert response.status_code == 200, response.text
    first = min((moment for moment in cache.first if moment > begun), default=begun)
    return Pull(first - begun, ended - first, peak(server), lateness)


def _settings(
    options: argparse.Namespace, cache: Cache, home: Path, *, streaming: bool
) -> dict[str, str]:
    settings = home / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "sim"\nkind = "path"\nlocation = "{options.channel}/set"\n'
        f'base = ""\nsubstituters = ["{cache.url}"]\n'
    )
    return {
        "NIXERY_CONFIG": str(settings),
        "NIXERY_CACHE_STREAMING": str(streaming).lower(),
    }


def _with_base(packages: Path, copy: Path) -> Path:
    """Copy the set with the packages that a server without the setting ``base`` adds to images."""
    copy.mkdir()
    text = (packages / "default.nix").read_text()
    (copy / "default.nix").write_text(
        text.rstrip() + " // { cacert = set.p0; iana-etc = set.p0; }\n"
    )
    return copy


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--paths", type=int, default=60)
    parser.add_argument("--compression", choices=["zstd", "xz"], default="zstd")
    parser.add_argument("--latency", type=float, default=20)
    parser.add_argument("--bandwidth", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--channel", type=Path)
    parser.add_argument("--nix", choices=["own", "trixie", "sid"], default="own")
    parser.add_argument("--today", metavar="REVISION")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if options.channel is None:
            options.channel = Path(scratch, "channel")
            size = options.size * _MIB
            compression = options.compression
            make(options.channel, compression=compression, size=size, paths=options.paths)
        root = _root(options.channel)
        with ExitStack() as stack:
            today = stack.enter_context(source_tree(options.today)) if options.today else None
            cache = stack.enter_context(served(options))
            _report(options, cache, root, Path(scratch), today)


def _root(channel: Path) -> StorePath:
    texts = [file.read_text() for file in channel.glob("*.narinfo")]
    [found] = [text for text in texts if "-everything\n" in text.split("URL", 1)[0]]
    return StorePath.parse(found.split("\n", 1)[0].removeprefix("StorePath: "))


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def _report(
    options: argparse.Namespace, cache: Cache, root: StorePath, scratch: Path, today: Path | None
) -> None:
    cores = os.cpu_count() or 1
    nix = None if options.nix == "own" else unpack_nix(options.nix, _directory(scratch / "nix"))
    ratios = []
    for number in range(options.rounds):
        begun = cache.cpu
        download = ideal(cache, root)
        serving = cache.cpu - begun
        packed, cpu = packing(options.channel, scratch / f"packed-{number}")
        streamed, stored = (pull(options, cache, nix, streaming=way) for way in (True, False))
        baseline, busy = max(download, (cpu + serving) / cores), max(download, packed)
        ratios.append(streamed.rest / baseline)
        print(
            f"ideal download {download:.2f} s, packing {packed:.2f} s, its CPU {cpu:.2f} s,"
            f" the cache's {serving:.2f} s;"
            f" streamed {streamed.rest:.2f} s ({streamed.rest / baseline:.2f} of the baseline,"
            f" {streamed.rest / busy:.2f} of a busy one, evaluation"
            f" {streamed.evaluation:.2f} s, {streamed.memory // _MIB} MiB,"
            f" liveness {streamed.lateness * 1000:.0f} ms at most);"
            f" by way of Nix {stored.rest:.2f} s ({stored.rest / streamed.rest:.1f} times as long,"
            f" {stored.memory // _MIB} MiB, liveness {stored.lateness * 1000:.0f} ms)",
            flush=True,
        )
        if today is not None:
            before = pull(options, cache, nix, streaming=False, tree=today)
            print(
                f"the server of {options.today}: {before.rest:.2f} s"
                f" ({before.rest / streamed.rest:.1f} times as long, evaluation"
                f" {before.evaluation:.2f} s, {before.memory // _MIB} MiB,"
                f" liveness {before.lateness * 1000:.0f} ms)",
                flush=True,
            )
    print(f"median {statistics.median(ratios):.2f} of the baseline")


if __name__ == "__main__":
    main()

"""The first manifest of a server whose Nix store is empty."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from bench.observing import Liveness, cpu, cpu_by_thread, latest_beat, peak
from bench.pulling.channel import Cache
from bench.pulling.settling import settle
from tests.e2e.newer_nix import NewerNix, own_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import Server

_IMAGE = "/v2/sim/everything/manifests/latest"
_INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Way:
    """A server to be measured.

    ``tree`` is another source tree than this one; ``is_old`` means that it has no way but Nix's.
    """

    streaming: bool = True
    tree: Path | None = None
    is_old: bool = False


@dataclass(frozen=True)
class Pull:
    """Times in seconds; ``cpu`` and ``memory``, its peak in bytes, are those of the server.

    ``steps`` are the first and last time of each step, from the first request for a narinfo on.
    ``threads`` is the CPU time by kind of thread.  ``liveness`` is the longest that a liveness
    request took, and ``lateness`` the longest that a timer of the event loop was late.
    """

    evaluation: float
    rest: float
    cpu: float
    memory: int
    liveness: float
    lateness: float
    steps: Mapping[str, tuple[float, float]]
    threads: Mapping[str, float]


def pull(channel: Path, cache: Cache, nix: NewerNix | None, way: Way) -> Pull:
    """Start a server, and request the manifest from it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        beats = home / "beats"
        within: Sequence[str] = (nix.with_store(home) if nix else own_nix(home)).within
        key = (channel / "public").read_text()
        environment = {
            "PATH": nix.path if nix else SYSTEM_PATH,
            "PYTHONPATH": str(_INSIDE),
            "BENCH_BEATS": str(beats),
            "NIX_CONFIG": f"trusted-public-keys = {key}\nbuild-users-group =",
        }
        packages = channel / "set"
        if way.is_old:
            environment["NIX_CONFIG"] += f"\nsubstituters = {cache.url}"
            packages = _with_base(packages, home / "set")
        else:
            environment |= _settings(channel, cache, home, streaming=way.streaming)
        if way.tree is not None:
            within = (*within, "env", "-C", str(way.tree))
        server = Server(home, packages, within, **environment)
        server.start()
        settle(channel)
        begun = time.time()
        try:
            pulled = _pull(server, cache, _IMAGE.replace("/sim", "") if way.is_old else _IMAGE)
            ended = time.time()
        finally:
            server.stop()
        return replace(pulled, lateness=latest_beat(beats, begun, ended))


def _pull(server: Server, cache: Cache, address: str) -> Pull:
    for times in (cache.narinfos, cache.archives, cache.sent):
        times.clear()
    liveness = Liveness(server)
    before, threads_before, begun = cpu(server), cpu_by_thread(server), time.time()
    try:
        response = server.get(address, timeout=1200)
    finally:
        longest = liveness.stop()
    ended = time.time()
    assert response.status_code == 200, response.text
    first = min((moment for moment in cache.narinfos if moment > begun), default=begun)
    threads = {
        kind: seconds - threads_before.get(kind, 0)
        for kind, seconds in cpu_by_thread(server).items()
    }
    steps = {
        step: (min(times) - first, max(times) - first)
        for step, times in (_requests(cache) | _blobs(server, response)).items()
        if times
    }
    return Pull(
        evaluation=first - begun,
        rest=ended - first,
        cpu=cpu(server) - before,
        memory=peak(server),
        liveness=longest,
        lateness=0,
        steps=steps,
        threads=threads,
    )


def _requests(cache: Cache) -> dict[str, list[float]]:
    return {
        "narinfos requested": cache.narinfos,
        "archives requested": cache.archives,
        "archives sent": cache.sent,
    }


def _blobs(server: Server, response: httpx.Response) -> dict[str, list[float]]:
    """Return when each blob was written for the last time: when it was packed."""
    manifest = response.json()
    own, config = manifest["layers"][-1]["digest"], manifest["config"]["digest"]
    times = {
        f"sha256:{file.name}": file.stat().st_mtime
        for file in (server.storage / "blobs").glob("*/*")
    }
    last = {"own files and links": times.pop(own), "config": times.pop(config)}
    return {"paths packed": list(times.values())} | {name: [at] for name, at in last.items()}


def _settings(channel: Path, cache: Cache, home: Path, *, streaming: bool) -> dict[str, str]:
    settings = home / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "sim"\nkind = "path"\nlocation = "{channel}/set"\n'
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

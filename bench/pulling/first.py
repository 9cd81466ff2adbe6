"""The first manifest of a server whose Nix store is empty."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.observing import Lateness, cpu, peak
from bench.pulling.channel import Cache
from tests.e2e.newer_nix import NewerNix, own_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import Server

_IMAGE = "/v2/sim/everything/manifests/latest"


@dataclass(frozen=True)
class Pull:
    """Times in seconds; ``cpu`` and ``memory``, its peak in bytes, are those of the server.

    ``steps`` are the first and last time of each step, from the first request for a narinfo on.
    """

    evaluation: float
    rest: float
    cpu: float
    memory: int
    lateness: float
    steps: dict[str, tuple[float, float]]


def pull(
    channel: Path,
    cache: Cache,
    nix: NewerNix | None,
    *,
    streaming: bool,
    tree: Path | None = None,
) -> Pull:
    """Start a server, of this source tree or another one, and request the manifest from it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        within = (nix.with_store(Path(home)) if nix else own_nix(Path(home))).within
        key = (channel / "public").read_text()
        environment = {
            "PATH": nix.path if nix else SYSTEM_PATH,
            "NIX_CONFIG": f"trusted-public-keys = {key}\nbuild-users-group =",
        }
        if tree is None:
            environment |= _settings(channel, cache, Path(home), streaming=streaming)
            server = Server(Path(home), channel / "set", within, **environment)
        else:
            environment["NIX_CONFIG"] += f"\nsubstituters = {cache.url}"
            packages = _with_base(channel / "set", Path(home, "set"))
            server = Server(Path(home), packages, (*within, "env", "-C", str(tree)), **environment)
        server.start()
        try:
            return _pull(server, cache, _IMAGE if tree is None else _IMAGE.replace("/sim", ""))
        finally:
            server.stop()


def _pull(server: Server, cache: Cache, address: str) -> Pull:
    cache.narinfos.clear()
    cache.archives.clear()
    late = Lateness(server)
    before, begun = cpu(server), time.time()
    try:
        response = server.get(address, timeout=1200)
    finally:
        lateness = late.stop()
    ended = time.time()
    assert response.status_code == 200, response.text
    first = min((moment for moment in cache.narinfos if moment > begun), default=begun)
    # A blob is written for the last time when its layer is packed.
    layers = [file.stat().st_mtime for file in (server.storage / "blobs").glob("*/*")]
    steps = {
        step: (min(times) - first, max(times) - first)
        for step, times in {
            "narinfos requested": cache.narinfos,
            "archives requested": cache.archives,
            "layers packed": layers,
        }.items()
        if times
    }
    return Pull(first - begun, ended - first, cpu(server) - before, peak(server), lateness, steps)


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

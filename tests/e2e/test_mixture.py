"""One image whose paths come from Nix's store, from a binary cache and from builds, in any mixture."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.binary_cache import BinaryCache, cached_set, filled_cache
from tests.e2e.newer_nix import NewerNix, own_nix, unpack_nix
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

# The cache has all but "elsewhere" and its input.
CACHED = ("cacert", "iana-etc", "leaf", "tree", "local")
MIXED = "team/tree/local/elsewhere"
SYSTEM = ("--argstr", "system", "x86_64-linux")
# No other command of the server starts a download or a build.
REALISES = "--log-format internal-json"


@pytest.fixture(scope="module", params=["own", pytest.param("trixie", marks=pytest.mark.full)])
def nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    directory = tmp_path_factory.mktemp("nix")
    return own_nix(directory) if request.param == "own" else unpack_nix(request.param, directory)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def cache(
    nix: NewerNix, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BinaryCache]:
    with filled_cache(nix, packages, tmp_path_factory.mktemp("cache")) as cache:
        yield cache


@pytest.fixture(scope="module")
def paths(nix: NewerNix, packages: Path) -> dict[str, str]:
    names = f'import {packages} {{ system = "x86_64-linux"; }}'
    expression = f"builtins.mapAttrs (_: package: package.outPath) ({names})"
    evaluate = ("nix-instantiate", "--eval", "--strict", "--json", "--expr", expression)
    found: dict[str, str] = json.loads(nix.run(*evaluate))
    return found


@dataclass
class Machine:
    """A server with a Nix store of its own, both below ``home``."""

    home: Path
    nix: NewerNix
    server: Server
    paths: dict[str, str]

    def valid(self) -> set[str]:
        """Return which of the packages its Nix store has."""
        query = ("nix-store", "--check-validity", "--print-invalid", *self.paths.values())
        invalid = self.nix.run(*query).split()
        return {name for name, path in self.paths.items() if path not in invalid}

    def derivations(self) -> set[str]:
        """Return the names of the derivation files in its Nix store."""
        files = (self.home / "nix" / "store").glob("*.drv")
        return {file.stem.partition("-")[2] for file in files}

    @property
    def realised(self) -> set[str]:
        """Return the packages that Nix was called for, to download or build them."""
        starts = [line for line in self.server.nix_starts if REALISES in line]
        drvs = {word for line in starts for word in line.split() if ".drv!" in word}
        return {name for name in self.paths for drv in drvs if f"-{name}-" in drv}


@dataclass
class Machines:
    home: Path
    nix: NewerNix
    packages: Path
    paths: dict[str, str]
    cache: BinaryCache
    made: list[Machine] = field(default_factory=list)

    def make(self, *, present: Sequence[str] = (), build: bool = True, **settings: str) -> Machine:
        """Start a server.

        ``present`` packages are in its Nix store; without the cache, also what they refer to.
        """
        home = self.home / str(len(self.made))
        home.mkdir()
        nix = self.nix.with_store(home)
        if present:
            attributes = [word for name in present for word in ("-A", name)]
            nix.run("nix-build", "--no-out-link", str(self.packages), *SYSTEM, *attributes)
        (home / "nixery.toml").write_text(
            f'[[sources]]\nname = "team"\nkind = "path"\nlocation = "{self.packages}"\n'
            f'substituters = ["{self.cache.url}"]\nbuild = {str(build).lower()}\n'
        )
        server = Server(
            home,
            self.packages,
            within=nix.within,
            PATH=nix.path,
            NIXERY_CONFIG=str(home / "nixery.toml"),
            NIX_CONFIG=f"substitute = true\ntrusted-public-keys = {self.cache.key}",
            **settings,
        )
        self.made.append(Machine(home, nix, server, self.paths))
        server.start()
        return self.made[-1]


@pytest.fixture
def machines(
    tmp_path: Path, nix: NewerNix, packages: Path, paths: dict[str, str], cache: BinaryCache
) -> Iterator[Machines]:
    machines = Machines(tmp_path, nix, packages, paths, cache)
    yield machines
    for machine in machines.made:
        machine.server.stop()


def image(machine: Machine, name: str) -> tuple[str, list[str]]:
    """Return the digest and the diff IDs."""
    server = machine.server
    digest = server.digest(name)
    manifest = server.get(f"/v2/{name}/manifests/{digest}").json()
    config = server.get(f"/v2/{name}/blobs/{manifest['config']['digest']}").json()
    return digest, config["rootfs"]["diff_ids"]


def test_an_image_is_the_same_whichever_way_its_paths_come(
    machines: Machines, cache: BinaryCache
) -> None:
    by_nix = machines.make(NIXERY_CACHE_STREAMING="false")
    wanted = image(by_nix, MIXED)
    assert by_nix.valid() == {*CACHED, "elsewhere"}

    streamed = machines.make()
    assert image(streamed, MIXED) == wanted
    assert streamed.valid() == {"elsewhere"}
    assert streamed.realised == {"elsewhere"}

    mixed = machines.make(present=("leaf", "iana-etc"))
    before = len(cache.requests)
    assert image(mixed, MIXED) == wanted
    assert mixed.valid() == {"iana-etc", "leaf", "elsewhere"}
    assert mixed.realised == {"elsewhere"}
    downloads = [path for path in cache.requests[before:] if "/nar/" in path]
    assert len(downloads) == len({"cacert", "tree", "local"})


def test_a_source_that_may_not_build_never_realises(machines: Machines) -> None:
    free = machines.make(present=CACHED)
    wanted = image(free, "team/tree/local")
    assert free.realised == set()

    machine = machines.make(present=("leaf",), build=False)
    assert image(machine, "team/tree/local") == wanted
    answer = machine.server.get("/v2/team/tree/elsewhere/manifests/latest")

    assert answer.status_code == 403, answer.text
    assert "elsewhere-1.0" in answer.json()["errors"][0]["message"]
    assert machine.realised == set()
    assert machine.valid() == {"leaf"}


def test_a_pull_of_what_is_cached_writes_no_derivations(machines: Machines) -> None:
    written = machines.make(NIXERY_CACHE_STREAMING="false")
    wanted = [image(written, name) for name in ("team/tree", "team/local")]
    assert written.derivations() >= {"tree-1.0", "leaf-1.0", "local-1.0"}

    machine = machines.make()
    before = machine.derivations()
    assert [image(machine, name) for name in ("team/tree", "team/local")] == wanted
    assert machine.server.get("/v2/team/nonesuch/manifests/latest").status_code == 404

    assert machine.derivations() == before
    activity = machine.server.get("/debug").json()["activity"]
    kept = [line for line in machine.server.nix_starts if "read-only.nix" in line]
    assert (len(kept), activity.get("nix.evaluate", 0)) == (1, 0)


def test_what_must_be_built_gets_derivations(machines: Machines) -> None:
    machine = machines.make()
    image(machine, "team/tree")
    assert machine.derivations() == set()

    image(machine, "team/elsewhere")

    assert machine.derivations() >= {"elsewhere-1.0", "input-1.0"}
    assert machine.valid() == {"elsewhere"}


def test_a_package_that_differs_without_derivations_is_the_one_with_them(
    machines: Machines,
) -> None:
    by_nix = machines.make(NIXERY_CACHE_STREAMING="false")
    wanted = image(by_nix, "team/wavering")
    assert "written-1.0" in by_nix.derivations()

    machine = machines.make()
    plan = machine.server.get("/api/plan/team/wavering")

    assert image(machine, "team/wavering") == wanted
    assert "computed-1.0" not in machine.derivations()
    assert "written-1.0" in plan.text

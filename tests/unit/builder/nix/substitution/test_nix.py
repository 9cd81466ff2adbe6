"""What Nix is asked to do, and what comes from binary caches."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.builder.nix.binary_cache.signatures import TrustedKeys
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.door import RealiseOptions
from app.builder.nix.preview import StorePreview
from app.builder.nix.results import Found
from app.builder.nix.roots import TemporaryRoots
from app.builder.nix.substitution.caches import Trust
from app.builder.nix.substitution.nix import SubstitutingRealiser
from app.errors import DownloadFailed, NotCached
from scripts.channel.cache import SigningKey
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.world import KEY, RETRIES, World, fill, opened

C = store_path(3, "c")


class RecordingNix:
    """Records what it is asked to do.  ``valid`` are the paths of its store."""

    def __init__(self, directory: Path, valid: Sequence[StorePath] = ()) -> None:
        self.starts: Counter[str] = Counter()
        self.valid = set(valid)
        self.realised: list[StorePath] = []
        self.checked: list[StorePath] = []
        self.needed: list[StorePath] = []
        self._directory = directory

    @asynccontextmanager
    async def temporary_roots(self) -> AsyncIterator[TemporaryRoots]:
        yield TemporaryRoots(self._directory)

    async def check_outputs(self, packages: Sequence[Found]) -> None:
        self.checked += [package.path for package in packages]

    async def require_derivations(self, packages: Sequence[Found], _: RealiseOptions) -> None:
        self.needed += [package.path for package in packages]

    def needs_derivations(self, options: RealiseOptions) -> bool:
        return options.build

    async def keep(self, paths: Sequence[StorePath], _: TemporaryRoots) -> frozenset[StorePath]:
        return frozenset(self.valid.intersection(paths))

    async def valid_paths(self, paths: Iterable[StorePath]) -> frozenset[StorePath]:
        return frozenset(self.valid.intersection(paths))

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        return Closure(StoreObject(path, 1, ()) for path in paths)

    async def preview(self, packages: Sequence[Found], _: RealiseOptions) -> StorePreview:
        lacking = {one for one in packages if one.path not in self.valid}
        return StorePreview(
            builds=frozenset(one.derivation for one in lacking),
            unknown=frozenset(one.path for one in lacking),
        )

    async def realise(self, packages: Sequence[Found], *_: object, **__: object) -> None:
        self.realised += [package.path for package in packages]


def found(path: StorePath) -> Found:
    derivation = StorePath.parse(f"{path}.drv")
    return Found(attribute=path.name, derivation=derivation, output="out", path=path)


def substituting(world: World, nix: RecordingNix, *urls: str) -> SubstitutingRealiser:
    return SubstitutingRealiser(
        nix=nix,
        client=world.client,
        trust=Trust(TrustedKeys([KEY.public]), frozenset({KEY.name})),
        substituters=urls or tuple(channel.url for channel in world.channels),
        remotes=world.remotes,
        retries=RETRIES,
        seconds=60,
    )


def options(*, build: bool) -> RealiseOptions:
    values: dict[str, Any] = {"source": "team", "seconds": 60, "build": build, "substituters": None}
    return RealiseOptions(**values)


async def realise(
    door: SubstitutingRealiser,
    *paths: StorePath,
    build: bool,
    on_line: Callable[[str], None] = lambda _: None,
    closure: Callable[[], Any] | None = None,
) -> Any:  # noqa: ANN401  what ``closure`` returns
    async with door.temporary_roots() as roots:
        packages = [found(path) for path in paths]
        await door.realise(packages, options(build=build), roots=roots, on_line=on_line)
        return await closure() if closure else None


@pytest.fixture
def cache(tmp_path: Path) -> Channel:
    return Channel(fill(tmp_path / "cache", {A: {b"a": b"1"}, B: {b"b": b"2"}}, {A: [B]}))


@pytest.mark.parametrize("build", [True, False])
async def test_nix_does_not_realise_what_a_cache_has(
    tmp_path: Path, cache: Channel, *, build: bool
) -> None:
    with opened(World(tmp_path, [cache])) as world:
        nix = RecordingNix(tmp_path)
        door = substituting(world, nix)

        closure = await realise(door, A, build=build, closure=lambda: world.store.closure([A]))

        assert closure.paths == (A, B)
        assert nix.checked == [A]
        assert nix.realised == []


async def test_nix_builds_only_what_no_cache_has(tmp_path: Path, cache: Channel) -> None:
    world = World(tmp_path, [cache], objects=[StoreObject(C, 1, ())])
    with opened(world):
        nix = RecordingNix(tmp_path)
        door = substituting(world, nix)

        closure = await realise(door, A, C, build=True, closure=lambda: world.store.closure([A, C]))

        assert nix.realised == [C]
        assert closure.paths == (A, B, C)


@pytest.mark.slow
async def test_a_source_that_may_not_build_names_what_no_cache_has(
    tmp_path: Path, cache: Channel
) -> None:
    with opened(World(tmp_path, [cache])) as world:
        nix = RecordingNix(tmp_path)
        with pytest.raises(NotCached, match=r"not there: c$"):
            await realise(substituting(world, nix), A, C, build=False)
        assert nix.realised == []


@pytest.mark.parametrize("build", [True, False])
async def test_a_fault_of_a_cache_never_leads_to_a_build(
    tmp_path: Path, cache: Channel, *, build: bool
) -> None:
    cache.fail("narinfo", 500)
    with opened(World(tmp_path, [cache])) as world:
        nix = RecordingNix(tmp_path)
        with pytest.raises(DownloadFailed, match=f"{cache.url} failed to send {A}"):
            await realise(substituting(world, nix), A, build=build)
        assert nix.realised == []


async def test_a_wrong_key_is_named_in_the_first_error(tmp_path: Path) -> None:
    other = SigningKey.new(KEY.name)
    channel = Channel(fill(tmp_path / "cache", {A: {b"a": b"1"}}, key=other))
    lines: list[str] = []
    with opened(World(tmp_path, [channel])) as world:
        door = substituting(world, RecordingNix(tmp_path))
        with pytest.raises(
            NotCached, match=rf"by {KEY.name} of {A} is not trusted .* has another key {KEY.name}"
        ):
            await realise(door, A, build=False, on_line=lines.append)
    assert any(KEY.name in line for line in lines)


@pytest.mark.parametrize("url", ["s3://bucket", "ssh://host", "file:///cache"])
async def test_other_kinds_of_caches_are_left_to_nix(
    tmp_path: Path, cache: Channel, url: str
) -> None:
    with opened(World(tmp_path, [cache])) as world:
        nix = RecordingNix(tmp_path)
        await realise(substituting(world, nix, cache.url, url), A, build=False)
        assert nix.realised == [A]
        assert cache.requests == []


async def test_a_path_that_only_nix_can_decompress_is_left_to_nix(tmp_path: Path) -> None:
    directory = fill(tmp_path / "cache", {A: {b"a": b"1"}})
    for file in directory.glob("*.narinfo"):
        file.write_text(file.read_text().replace("Compression: zstd", "Compression: lzip"))
    with opened(World(tmp_path, [Channel(directory)])) as world:
        nix = RecordingNix(tmp_path)
        await realise(substituting(world, nix), A, build=False)
        assert nix.realised == [A]


async def test_a_preview_has_the_closure_and_sizes_of_a_cache_and_downloads_nothing(
    tmp_path: Path, cache: Channel
) -> None:
    world = World(tmp_path, [cache], objects=[StoreObject(C, 1, ())])
    with opened(world):
        nix = RecordingNix(tmp_path)

        preview = await substituting(world, nix).preview([found(A), found(C)], options(build=True))

        assert preview.objects[A].references == (B,)
        assert preview.cached.keys() == {A, B}
        assert {one.cache for one in preview.cached.values()} == {cache.url}
        assert all(one.size for one in preview.cached.values())
        assert preview.builds == {StorePath.parse(f"{C}.drv")}
        assert preview.unknown == {C}
        assert nix.realised == []
        assert not any("/nar/" in request for request in cache.requests)


async def test_a_preview_without_caches_over_http_is_that_of_nix(
    tmp_path: Path, cache: Channel
) -> None:
    with opened(World(tmp_path, [cache])) as world:
        door = substituting(world, RecordingNix(tmp_path), "file:///cache")

        assert (await door.preview([found(A)], options(build=True))).unknown == {A}
        assert cache.requests == []

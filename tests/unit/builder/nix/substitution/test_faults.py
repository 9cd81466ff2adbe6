"""Faults of binary caches: a right layer or an error that names the cache, and nothing wrong kept."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest

from app.builder.images.image import Layer
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.binary_cache.content_address import ContentAddress
from app.builder.nix.closure import StorePath
from app.errors import DownloadFailed, StorageUnavailable
from app.storage.base import Storage
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.retrying import Retries
from app.system.workers import Workers
from scripts.channel.cache import SigningKey
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.world import KEY, Contents, World, fill, opened

CONTENTS: Contents = {A: {b"bin": {b"x": b"abc" * 50_000}}, B: {b"lib": b"0123456789" * 9_000}}
REFERENCES = {A: [A, B]}
_OTHER = store_path(3, "c")
NARINFO_A = rf"/{A.hash_part}\.narinfo"
Edit = Callable[[bytes], bytes]


def field(name: str, value: str) -> Edit:
    """Replace a field of a narinfo, whose signature stays."""

    def edit(text: bytes) -> bytes:
        return re.sub(
            rf"^{name}: .*$".encode(), f"{name}: {value}".encode(), text, flags=re.MULTILINE
        )

    return edit


def without(name: str) -> Edit:
    return lambda text: re.sub(rf"^{name}: .*\n".encode(), b"", text, flags=re.MULTILINE)


def flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


async def packed(world: World, storage: Storage, *roots: StorePath) -> list[Layer]:
    """Pack the closures of the roots."""
    found = await world.find(*roots)
    if lacking := found.lacking(roots):
        raise LookupError(lacking)
    packer = LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all("gzip"),
        store=world.store,
    )
    try:
        return [await packer.layer([path]) for path in sorted(found.offers)]
    finally:
        await packer.close()


@pytest.fixture
def cache(tmp_path: Path) -> Channel:
    return Channel(fill(tmp_path / "cache", CONTENTS, REFERENCES))


@pytest.fixture
async def expected(tmp_path: Path, cache: Channel) -> list[Layer]:
    with opened(World(tmp_path, [Channel(cache.directory)])) as world:
        return await packed(world, MemoryStorage(), A)


TRANSIENT: list[tuple[str, int | str]] = [
    (r"narinfo", 500),
    (r"narinfo", 429),
    (r"narinfo", 522),
    (r"/nar/", 507),
    (r"narinfo", "cut"),
    (r"/nar/", 500),
    (r"/nar/", 503),
    (r"/nar/", "cut"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "kind"), TRANSIENT)
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_transient_fault_is_retried_within_the_job(
    tmp_path: Path,
    cache: Channel,
    expected: list[Layer],
    pattern: str,
    kind: int | str,
    *,
    ranges: bool,
) -> None:
    cache.ranges = ranges
    cache.fail(pattern, kind, times=2)
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected
    assert any("another attempt follows" in line and cache.url in line for line in world.lines)


@pytest.mark.slow
async def test_a_cut_download_is_resumed_where_it_ended(
    tmp_path: Path, cache: Channel, expected: list[Layer]
) -> None:
    cache.fail(r"/nar/", "cut", times=1)
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected

    sizes = [file.stat().st_size for file in (cache.directory / "nar").iterdir()]
    assert cache.sent < sum(sizes) + 10_000


LASTING: dict[str, tuple[str, int | str | Edit]] = {
    "narinfo 500": (NARINFO_A, 500),
    "narinfo cut": (NARINFO_A, "cut"),
    "negative FileSize": (NARINFO_A, field("FileSize", "-1")),
    "unknown encoding": (NARINFO_A, gzip.compress),
    "file of this machine": (NARINFO_A, field("URL", "file:///etc/passwd")),
    "narinfo of another path": (NARINFO_A, field("StorePath", str(B))),
    "same hash, another name": (NARINFO_A, field("StorePath", f"{A}-other")),
    "reference outside the store": (NARINFO_A, field("References", "../../etc/passwd")),
    "login page": (NARINFO_A, lambda _: b"<html>\nplease log in</html>"),
    "redirect loop": (NARINFO_A, "loop"),
    "archive 404": ("/nar/", 404),
    "archive 500": ("/nar/", 500),
    "archive cut": ("/nar/", "cut"),
    "archive redirect loop": ("/nar/", "loop"),
    "wrong file": ("/nar/", flipped),
    "empty file": ("/nar/", lambda _: b""),
    "wrong FileSize": (NARINFO_A, field("FileSize", "7")),
    "wrong FileHash": (NARINFO_A, field("FileHash", "sha256:" + "0" * 52)),
    "wrong compression": (NARINFO_A, field("Compression", "xz")),
    "bomb": ("/nar/", lambda body: body + bytes(10_000_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", LASTING)
async def test_a_lasting_fault_is_an_error_that_names_the_cache_and_a_path(
    tmp_path: Path, cache: Channel, expected: list[Layer], fault: str
) -> None:
    pattern, kind = LASTING[fault]
    cache.ranges = False
    cache.fail(pattern, kind)
    storage = MemoryStorage()
    with opened(World(tmp_path, [cache])) as world:
        with pytest.raises(DownloadFailed) as caught:
            await packed(world, storage, A)

        assert re.search(
            rf"{cache.url} failed to send /nix/store/[0-9a-z]{{32}}-", str(caught.value)
        )
        assert world.left_over == []
        # What was stored before is right, and the next pull goes on from it.
        cache.heal()
        assert await packed(world, storage, A) == expected


UNTRUSTED: dict[str, Edit] = {
    "wrong NarHash": field("NarHash", "sha256:" + "0" * 52),
    "wrong NarSize": field("NarSize", "1234567"),
    "another reference": field("References", A.base),
    "no signature": without("Sig"),
    "wrong signature": field("Sig", f"{KEY.name}:" + "A" * 86 + "=="),
    "another key": field("Sig", SigningKey.new("other-1").sign(b"anything")),
}


@pytest.mark.parametrize("fault", UNTRUSTED)
async def test_a_narinfo_that_no_trusted_key_signed_offers_nothing(
    tmp_path: Path, cache: Channel, fault: str
) -> None:
    cache.fail(NARINFO_A, UNTRUSTED[fault])
    with opened(World(tmp_path, [cache])) as world:
        found = await world.find(A)

        assert A not in found.offers
        assert [(one.location, one.path) for one in found.unsigned] == [(cache.url, A)]


@pytest.mark.parametrize("edit", ["wrong NarHash", "wrong NarSize"])
async def test_a_signed_narinfo_that_is_wrong_keeps_nothing(
    tmp_path: Path, cache: Channel, edit: str
) -> None:
    """As a cache with a trusted key might send it, whose disk or builder is broken."""
    cache.fail("narinfo", UNTRUSTED[edit])
    storage = MemoryStorage()
    world = World(tmp_path, [cache], required=False)
    with opened(world), pytest.raises(DownloadFailed, match=r"NarSize|NarHash"):
        await packed(world, storage, B)
    assert await storage.keys("") == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_cache_without_the_path_is_passed_over(
    tmp_path: Path, cache: Channel, expected: list[Layer], status: int
) -> None:
    empty = Channel(fill(tmp_path / "empty", {}, priority=10))
    empty.fail("narinfo", status)
    with opened(World(tmp_path, [empty, cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", [500, "cut", "loop"])
async def test_another_cache_serves_what_a_failing_one_does_not(
    tmp_path: Path, cache: Channel, expected: list[Layer], kind: int | str
) -> None:
    failing = Channel(cache.directory)
    failing.fail("narinfo|/nar/", kind)
    with opened(World(tmp_path, [failing, cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", [404, 500, flipped])
async def test_an_archive_that_one_cache_does_not_send_comes_from_another(
    tmp_path: Path, cache: Channel, expected: list[Layer], kind: int | Edit
) -> None:
    other = Channel(fill(tmp_path / "other", CONTENTS, REFERENCES, compression="xz"))
    cache.fail("/nar/", kind)
    with opened(World(tmp_path, [cache, other])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


async def test_the_cache_of_the_lower_priority_is_queried_first(tmp_path: Path) -> None:
    late = Channel(fill(tmp_path / "late", CONTENTS, priority=50))
    early = Channel(fill(tmp_path / "early", CONTENTS, priority=5))
    with opened(World(tmp_path, [late, early])) as world:
        found = await world.find(B)

        assert found.offers[B].location == early.url


async def test_the_priority_of_a_single_cache_is_not_queried(
    tmp_path: Path, cache: Channel
) -> None:
    with opened(World(tmp_path, [cache])) as world:
        await world.find(B)

    assert cache.requests == [f"/{B.hash_part}.narinfo"]


async def test_a_cache_that_is_down_is_named(tmp_path: Path) -> None:
    down = Channel(tmp_path, port=1)
    with opened(World(tmp_path, [])) as world:
        world.caches.urls = [down.url]
        with pytest.raises(DownloadFailed, match=f"{down.url} failed to send {A}: .*connect"):
            await world.find(A)


@pytest.mark.slow
async def test_a_server_that_requests_a_pause_gets_it(tmp_path: Path, cache: Channel) -> None:
    cache.fail("narinfo", 503, times=1, **{"Retry-After": "1"})
    with opened(World(tmp_path, [cache])) as world:
        await world.find(B)
    assert any("another attempt follows in 1 s" in line for line in world.lines)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("br", brotli.compress)])
async def test_encoded_responses_are_decoded(
    tmp_path: Path, cache: Channel, expected: list[Layer], name: str, encode: Edit
) -> None:
    """A bucket sends objects as they were uploaded, whatever a client accepts."""
    cache.fail(r"narinfo|/nar/", encode, times=99, **{"Content-Encoding": name})
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


@pytest.mark.slow
async def test_an_encoded_download_that_is_cut_begins_again(
    tmp_path: Path, cache: Channel, expected: list[Layer]
) -> None:
    whole = {file.read_bytes() for file in (cache.directory / "nar").iterdir()}

    def cut(body: bytes) -> bytes:
        assert body in whole
        return gzip.compress(body, 0)[:9_000]

    cache.fail(r"/nar/", cut, times=2, **{"Content-Encoding": "gzip"})
    cache.fail(r"/nar/", gzip.compress, times=99, **{"Content-Encoding": "gzip"})
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


@pytest.mark.slow
async def test_an_encoded_bomb_is_not_decoded_to_its_end(tmp_path: Path, cache: Channel) -> None:
    bomb = gzip.compress(bytes(1 << 26))
    cache.fail(r"narinfo", lambda _: bomb, times=99, **{"Content-Encoding": "gzip"})
    world = World(tmp_path, [cache], retries=Retries(0, 0))
    with opened(world), pytest.raises(DownloadFailed, match="more than 4000000 bytes"):
        await world.find(A)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["narinfo", "/nar/"])
async def test_a_cache_that_sends_byte_after_byte_is_given_up(
    tmp_path: Path, cache: Channel, pattern: str
) -> None:
    cache.fail(pattern, "drip")
    world = World(tmp_path, [cache], retries=Retries(0, 0), stall_seconds=1, seconds=1)
    with opened(world), pytest.raises(DownloadFailed, match=f"{cache.url} failed to send"):
        await packed(world, MemoryStorage(), A)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["silence", "slow"])
async def test_a_cache_that_sends_too_little_is_given_up(tmp_path: Path, kind: str) -> None:
    large = {A: {b"data": bytes(range(256)) * 4096}}
    cache = Channel(fill(tmp_path / "cache", large, compression="none"))
    cache.fail("/nar/", kind)
    world = World(tmp_path, [cache], retries=Retries(0, 0), stall_seconds=1, seconds=1)
    with opened(world), pytest.raises(DownloadFailed, match=f"{cache.url} failed to send {A}"):
        await packed(world, MemoryStorage(), A)


async def test_a_full_disk_is_a_fault_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small archives need no disk before they are packed."""
    large = {A: {b"data": bytes(range(256)) * 4096}}
    cache = Channel(fill(tmp_path / "cache", large, compression="none"))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with opened(World(tmp_path, [cache])) as world:
        monkeypatch.setattr("app.builder.nix.substitution.download_buffer.os.pwrite", full)
        with pytest.raises(StorageUnavailable, match="state directory is full"):
            await packed(world, MemoryStorage(), A)


async def test_a_reference_that_no_cache_has_makes_the_whole_path_lacking(
    tmp_path: Path, cache: Channel
) -> None:
    cache.fail(rf"/{B.hash_part}\.narinfo", 404)
    with opened(World(tmp_path, [cache])) as world:
        found = await world.find(A)

        assert found.lacking([A]) == {A: frozenset({B})}


async def test_a_path_that_is_named_by_its_content_needs_no_signature(tmp_path: Path) -> None:
    directory = fill(tmp_path / "cache", {_OTHER: {b"x": b"1"}})
    text = next(directory.glob("*.narinfo")).read_bytes()
    nar_hash = re.search(rb"NarHash: (.*)", text)
    assert nar_hash is not None
    address = f"fixed:r:{nar_hash[1].decode()}"
    real = ContentAddress.parse(address).path("c", (), to_itself=False)
    edited = without("Sig")(field("StorePath", str(real))(text)) + f"CA: {address}\n".encode()
    (directory / f"{real.hash_part}.narinfo").write_bytes(edited)
    (directory / f"{_OTHER.hash_part}.narinfo").write_bytes(field("StorePath", str(_OTHER))(edited))
    with opened(World(tmp_path, [Channel(directory)])) as world:
        assert real in (await world.find(real)).offers
        assert _OTHER not in (await world.find(_OTHER)).offers

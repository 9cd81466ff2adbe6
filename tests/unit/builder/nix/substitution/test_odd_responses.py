"""Rare responses, and broken ones that look complete: a right layer, or an honest error."""

import gzip
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from app.builder.images.image import Layer
from app.errors import DownloadFailed
from app.storage.memory import MemoryStorage
from app.system.retrying import Retries
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.scripted import ScriptedChannel, part_of, response
from tests.unit.builder.nix.substitution.test_faults import (
    CONTENTS,
    NARINFO_A,
    REFERENCES,
    Edit,
    field,
    packed,
    without,
)
from tests.unit.builder.nix.substitution.world import Contents, World, fill, opened

pytestmark = pytest.mark.slow

_BEGINNING = 40_000
_STALL = 3  # longer than a response of the other cache takes on a busy machine
Rest = Callable[[bytes, int], bytes]


@pytest.fixture
def cache(tmp_path: Path) -> ScriptedChannel:
    return ScriptedChannel(fill(tmp_path / "cache", CONTENTS, REFERENCES, compression="none"))


@pytest.fixture
async def expected(tmp_path: Path, cache: Channel) -> list[Layer]:
    with opened(World(tmp_path, [Channel(cache.directory)])) as world:
        return await packed(world, MemoryStorage(), A)


def without_sizes(cache: Channel) -> None:
    """Remove the fields of files, as servers do that compress nothing."""
    for file in cache.directory.glob("*.narinfo"):
        file.write_bytes(without("FileSize")(without("FileHash")(file.read_bytes())))


def encoded_part(body: bytes, start: int) -> bytes:
    rest = gzip.compress(body, 0)[start:]
    place = f"bytes {start}-{start + len(rest) - 1}/*"
    return response(206, rest, content_encoding="gzip", content_range=place)


RESTS: dict[str, Rest] = {
    "without its place": lambda body, start: response(206, body[start:]),
    "of another place": lambda body, start: response(
        206, body[start:], content_range=f"bytes {start + 8}-{len(body)}/*"
    ),
    "in several parts": lambda *_: response(206, b"--x", content_type="multipart/byteranges"),
    "encoded": encoded_part,
    "refused": lambda *_: response(416, content_length=0),
    "refused, shorter": lambda *_: response(416, content_range="bytes */9", content_length=0),
    "empty": lambda *_: response(206, content_range="bytes 0-0/*", content_length=0),
    "whole, of no stated length, cut": lambda body, start: response(200, body[: start + 20_000]),
    "piece by piece": lambda body, start: part_of(body, start, start + 60_000),
}


@pytest.mark.parametrize("states_sizes", [True, False])
@pytest.mark.parametrize("rest", RESTS)
async def test_a_download_that_was_cut_does_not_depend_on_ranges(
    tmp_path: Path,
    cache: ScriptedChannel,
    expected: list[Layer],
    rest: str,
    *,
    states_sizes: bool,
) -> None:
    """What has arrived is received again if the server does not send the rest alone."""
    seen: set[str] = set()

    def script(path: str, start: int, body: bytes) -> Iterable[bytes] | None:
        if start:
            return [RESTS[rest](body, start)]
        if "/nar/" not in path or path in seen:
            return None
        seen.add(path)
        return [response(200, body[:_BEGINNING])]

    if not states_sizes:
        without_sizes(cache)
    cache.script = script
    with opened(World(tmp_path, [cache], retries=Retries(3, 60, 0.01))) as world:
        assert await packed(world, MemoryStorage(), A) == expected


async def test_an_encoded_download_is_received_from_its_start_after_any_failure(
    tmp_path: Path, cache: ScriptedChannel, expected: list[Layer]
) -> None:
    """The failure in between has no encoding."""
    counts: dict[str, Iterator[int]] = {}

    def script(path: str, start: int, body: bytes) -> Iterable[bytes] | None:
        if "/nar/" not in path:
            return None
        assert not start
        encoded = gzip.compress(body, 0)
        headers = {"content_encoding": "gzip", "content_length": len(encoded)}
        match next(counts.setdefault(path, itertools.count())):
            case 0:
                return [response(200, encoded[:_BEGINNING], **headers)]
            case 1:
                return [response(503, content_length=0)]
            case _:
                return [response(200, encoded, **headers)]

    cache.script = script
    with opened(World(tmp_path, [cache], retries=Retries(3, 60, 0.01))) as world:
        assert await packed(world, MemoryStorage(), A) == expected


def chunked(body: bytes) -> bytes:
    """Return a response without its last chunk, which is empty."""
    return response(200, b"%x\r\n%s\r\n" % (len(body), body), transfer_encoding="chunked")


@pytest.mark.parametrize("states_sizes", [True, False])
async def test_a_download_that_was_cut_after_its_last_byte_is_complete(
    tmp_path: Path, cache: ScriptedChannel, expected: list[Layer], *, states_sizes: bool
) -> None:
    def script(path: str, start: int, body: bytes) -> Iterable[bytes] | None:
        if "/nar/" not in path:
            return None
        if start:
            return [response(416, content_range=f"bytes */{len(body)}", content_length=0)]
        return [chunked(body)]

    if not states_sizes:
        without_sizes(cache)
    cache.script = script
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


@pytest.mark.parametrize("times", [1, 1_000_000])
async def test_a_narinfo_that_ends_with_its_connection_is_not_taken_for_a_whole_one(
    tmp_path: Path, cache: ScriptedChannel, expected: list[Layer], times: int
) -> None:
    """Without Content-Length the end of a connection is that of the body.

    Half of a signature is untrusted: Nix would build the path.
    """
    left = iter(range(times))

    def script(path: str, _: int, body: bytes) -> Iterable[bytes] | None:
        if not re.search(NARINFO_A, path) or next(left, None) is None:
            return None
        return [response(200, body[:-40])]

    cache.script = script
    with opened(World(tmp_path, [cache])) as world:
        if times == 1:
            assert await packed(world, MemoryStorage(), A) == expected
        else:
            with pytest.raises(DownloadFailed, match=f"{cache.url} failed to send {A}: .*ends in"):
                await world.find(A)


@pytest.mark.parametrize(
    "url", ["http://[abc/nar", "//[", "nar/é", "nar/a b", "nar/a\0b", "nar/a\x7f", ""]
)
async def test_an_archive_whose_address_is_invalid_is_a_fault_of_the_cache(
    tmp_path: Path, cache: Channel, url: str
) -> None:
    cache.fail(NARINFO_A, field("URL", url))
    world = World(tmp_path, [cache])
    with opened(world), pytest.raises(DownloadFailed) as caught:
        await packed(world, MemoryStorage(), A)
    assert f"{cache.url} failed to send {A}: invalid narinfo: " in str(caught.value)


@pytest.mark.parametrize("url", ["http://[abc/nar", "nar/a b"])
async def test_a_cache_with_an_invalid_address_does_not_hide_another(
    tmp_path: Path, cache: Channel, expected: list[Layer], url: str
) -> None:
    cache.fail(NARINFO_A, field("URL", url))
    other = Channel(cache.directory)
    with opened(World(tmp_path, [cache, other])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


FOREIGN: dict[str, tuple[bytes, str]] = {
    "another protocol": (b"\x15\x03\x01\x00\x02\x02\x28", "the response is not HTTP"),
    "a long header": (response(200, x="a" * 1_000_000), "a header of the response is too long"),
    "endless headers": (
        response(200, x="a\r\nx: b" * 100_000),
        "Too (large|many) response headers",
    ),
}


@pytest.mark.parametrize("times", [1, 1_000_000])
@pytest.mark.parametrize("name", FOREIGN)
async def test_what_is_not_a_response_is_a_transient_fault(
    tmp_path: Path, cache: ScriptedChannel, expected: list[Layer], name: str, times: int
) -> None:
    left = iter(range(times))
    foreign, reason = FOREIGN[name]
    cache.script = lambda *_: None if next(left, None) is None else [foreign]
    with opened(World(tmp_path, [cache])) as world:
        if times == 1:
            assert await packed(world, MemoryStorage(), A) == expected
        else:
            with pytest.raises(DownloadFailed, match=f"{cache.url} failed to send {A}: {reason}"):
                await world.find(A)


def endless(status: int) -> Iterator[bytes]:
    yield response(status)
    while True:
        yield bytes(1 << 16)


async def test_the_endless_text_of_an_error_is_not_read(
    tmp_path: Path, cache: ScriptedChannel, expected: list[Layer]
) -> None:
    left = iter(range(2))

    def script(path: str, _: int, __: bytes) -> Iterable[bytes] | None:
        return endless(500) if "/nar/" in path and next(left, None) is not None else None

    cache.script = script
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected
    assert any("the server responded with 500" in line for line in world.lines)


UNSTATED: dict[str, Edit] = {
    "size 0": lambda text: without("FileHash")(field("FileSize", "0")(text)),
    "address of a new kind": lambda text: text + b"CA: fixed:r:blake3:" + b"0" * 52 + b"\n",
}


@pytest.mark.parametrize("edit", UNSTATED)
async def test_unsigned_fields_that_state_nothing_here_are_ignored(
    tmp_path: Path, cache: Channel, expected: list[Layer], edit: str
) -> None:
    cache.fail(NARINFO_A, UNSTATED[edit])
    with opened(World(tmp_path, [cache])) as world:
        assert await packed(world, MemoryStorage(), A) == expected


CHAIN = [store_path(number, f"c{number}") for number in range(8)]


def chain(tmp_path: Path) -> Path:
    contents: Contents = {path: {b"f": path.base.encode()} for path in CHAIN}
    return fill(
        tmp_path / "chain", contents, {one: [two] for one, two in itertools.pairwise(CHAIN)}
    )


@pytest.mark.parametrize("pattern", ["narinfo", "/nar/"])
async def test_a_silent_cache_is_waited_for_once_if_another_has_the_paths(
    tmp_path: Path, pattern: str
) -> None:
    """Each narinfo of the chain is known only after the one before it."""
    silent, other = Channel(chain(tmp_path)), Channel(tmp_path / "chain")
    silent.fail(pattern, "silence")
    world = World(tmp_path, [silent, other], retries=Retries(0, 0), stall_seconds=_STALL)

    with opened(world):
        assert len(await packed(world, MemoryStorage(), CHAIN[0])) == len(CHAIN)

    assert sum(bool(re.search(pattern, path)) for path in silent.requests) == 1


async def test_a_silent_cache_is_still_the_one_for_paths_that_no_other_has(
    tmp_path: Path,
) -> None:
    silent = Channel(chain(tmp_path))
    silent.fail(rf"{CHAIN[1].hash_part}\.narinfo", "silence", times=1)
    other = Channel(fill(tmp_path / "other", {B: {b"b": b"1"}}))
    world = World(tmp_path, [silent, other], retries=Retries(1, 60, 0.01), stall_seconds=_STALL)

    with opened(world):
        assert len(await packed(world, MemoryStorage(), CHAIN[0])) == len(CHAIN)

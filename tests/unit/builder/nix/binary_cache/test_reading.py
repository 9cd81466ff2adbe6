import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.binary_cache import fetch, reading
from app.builder.nix.binary_cache.cache import NotABinaryCache, open_cache
from app.builder.nix.binary_cache.fetch import FetchFailed
from app.builder.nix.binary_cache.known import KnownNarInfos
from app.builder.nix.binary_cache.narinfo import NarInfoInvalid
from app.builder.nix.binary_cache.reading import NarInfoReader, Tally
from app.errors import Unavailable
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import (
    CacheServer,
    Handler,
    drop,
    garbage,
    make_cache,
    serving,
    status,
)

PACKAGES = {
    "libc-1": ["libc-1"],
    "libz-1": ["libc-1"],
    "git-2": ["git-2", "libc-1", "libz-1"],
    "curl-7": ["libc-1", "gone-1"],
}
PARTS = [store_path(name).hash_part for name in PACKAGES]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_cache(tmp_path / "cache", PACKAGES)


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheServer]:
    monkeypatch.setattr(fetch, "RETRIES", replace(fetch.RETRIES, pause_seconds=0.001))
    with serving(directory) as server:
        yield server


@pytest.fixture
def known(tmp_path: Path) -> Iterator[KnownNarInfos]:
    with KnownNarInfos.open(
        tmp_path / "narinfos.sqlite", cache="https://cache.example.org"
    ) as known:
        yield known


def reader_of(
    location: str | Path,
    known: KnownNarInfos | None = None,
    report: Callable[[Tally], None] = lambda _: None,
) -> NarInfoReader:
    stop = threading.Event()
    return NarInfoReader(
        cache=open_cache(str(location), stop), known=known, stop=stop, report=report
    )


def narinfo_requests(server: CacheServer) -> int:
    return sum(count for path, count in server.requests.items() if path.endswith(".narinfo"))


@pytest.mark.parametrize("kind", ["directory", "file URL", "HTTP"])
def test_narinfos_are_read_from_directories_and_over_http(
    kind: str, directory: Path, server: CacheServer
) -> None:
    location = {"directory": str(directory), "file URL": directory.as_uri(), "HTTP": server.url}

    found = reader_of(location[kind]).read([*PARTS, store_path("gone-1").hash_part, *PARTS])

    assert {n.path.name: [r.name for r in n.references] for n in found.values()} == PACKAGES


def test_progress_counts_every_path_once(server: CacheServer) -> None:
    seen: list[int] = []
    reader = reader_of(server.url, report=lambda tally: seen.append(tally.done))

    reader.read([*PARTS, store_path("gone-1").hash_part])

    assert seen == [0, 1, 2, 3, 4, 5]
    assert reader.tally == Tally(wanted=5, read=4, missing=1)


def test_known_narinfos_are_not_requested_again(server: CacheServer, known: KnownNarInfos) -> None:
    reader_of(server.url, known).read(PARTS[:3])
    before = narinfo_requests(server)

    again = reader_of(server.url, known)
    found = again.read([*PARTS, store_path("gone-1").hash_part])

    assert narinfo_requests(server) - before == 2
    assert len(found) == 4
    assert again.tally == Tally(wanted=5, known=3, read=1, missing=1)


def test_missing_narinfos_are_requested_again(server: CacheServer, known: KnownNarInfos) -> None:
    missing = store_path("gone-1")
    reader_of(server.url, known).read([missing.hash_part])
    make_cache(server.directory, {"gone-1": []})

    assert missing.hash_part in reader_of(server.url, known).read([missing.hash_part])


def test_single_failures_are_counted_and_survived(
    server: CacheServer, known: KnownNarInfos
) -> None:
    server.faults[f"{PARTS[0]}.narinfo"] = [garbage]
    server.faults[f"{PARTS[1]}.narinfo"] = [status(400)]
    server.faults[f"{PARTS[2]}.narinfo"] = [status(503), drop]
    reader = reader_of(server.url, known)

    found = reader.read(PARTS)

    assert sorted(found) == sorted(PARTS[2:])
    assert reader.tally.failed == 2
    assert reader.tally.problem
    # Failures are not recorded: the next run requests these paths again.
    assert len(reader_of(server.url, known).read(PARTS)) == 4


@pytest.mark.slow
def test_a_cache_that_stops_responding_ends_the_run_and_keeps_what_was_read(
    server: CacheServer, known: KnownNarInfos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CONNECTIONS", 1)
    monkeypatch.setattr(reading, "BATCH", 7)
    many = {f"p{i}-1": [f"p{i}-1"] for i in range(100)}
    make_cache(server.directory, many)
    parts = sorted(store_path(name).hash_part for name in many)
    for part in parts[40:]:
        server.faults[f"{part}.narinfo"] = [status(400)]

    with pytest.raises(FetchFailed, match="400"):
        reader_of(server.url, known).read(parts)

    assert sorted(known.read(parts)) == parts[:40]


@pytest.mark.slow
def test_a_portal_that_responds_with_a_page_to_everything_ends_the_run(server: CacheServer) -> None:
    many = [store_path(f"p{i}-1").hash_part for i in range(100)]
    for part in many:
        server.faults[f"{part}.narinfo"] = [garbage]

    with pytest.raises(NarInfoInvalid, match="invalid narinfo"):
        reader_of(server.url).read(many)


def test_an_interrupted_run_keeps_what_was_read(server: CacheServer, known: KnownNarInfos) -> None:
    def interrupt(tally: Tally) -> None:
        if tally.read == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader_of(server.url, known, interrupt).read(PARTS)

    assert len(known.read(PARTS)) == 2


def test_an_error_of_our_own_in_a_thread_is_not_lost(directory: Path) -> None:
    reader = reader_of(directory)
    reader._cache.narinfo = lambda _: 1 / 0  # type: ignore[assignment,method-assign,return-value]

    with pytest.raises(ZeroDivisionError):
        reader.read(PARTS)


def test_a_closure_is_read_along_references(server: CacheServer) -> None:
    closure = reader_of(server.url).read_closure([store_path("git-2").hash_part])

    assert [path.name for path in sorted(closure.paths, key=lambda p: p.name)] == [
        "git-2",
        "libc-1",
        "libz-1",
    ]
    # A reference to itself is none in a closure.
    assert closure[store_path("libc-1")].references == ()
    assert set(closure[store_path("git-2")].references) == {
        store_path("libc-1"),
        store_path("libz-1"),
    }


def test_a_closure_leaves_out_what_the_cache_does_not_have(server: CacheServer) -> None:
    closure = reader_of(server.url).read_closure([store_path("curl-7").hash_part])

    assert closure[store_path("curl-7")].references == (store_path("libc-1"),)


def test_a_directory_without_cache_information_is_refused(
    server: CacheServer, tmp_path: Path
) -> None:
    (server.directory / "nix-cache-info").unlink()
    with pytest.raises(NotABinaryCache, match=rf"{server.url} is not a binary cache"):
        reader_of(server.url)
    with pytest.raises(NotABinaryCache, match="is not a binary cache"):
        reader_of(tmp_path)


def test_the_cache_of_another_store_is_refused(directory: Path) -> None:
    (directory / "nix-cache-info").write_text("StoreDir: /opt/store\n")

    with pytest.raises(NotABinaryCache, match="another store: /opt/store"):
        reader_of(directory)


@pytest.mark.slow
def test_many_narinfos_are_requested_concurrently(server: CacheServer, directory: Path) -> None:
    count = 32
    names = [f"p{number}-1" for number in range(count)]
    make_cache(directory, dict.fromkeys(names, ()))
    parts = [store_path(name).hash_part for name in names]
    # The first response is sent after the last request has arrived.
    all_there = threading.Barrier(count)

    def wait(handler: Handler) -> None:
        all_there.wait(300)
        path = server.directory / handler.path.lstrip("/")
        handler.answer(200, path.read_bytes())

    server.faults = {f"{part}.narinfo": [wait] for part in parts}

    assert set(reader_of(server.url).read(parts)) == set(parts)


@pytest.mark.parametrize("allowed", [0, 2])
def test_where_few_threads_can_be_started_they_read_all(
    directory: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    names = [f"p{number}-1" for number in range(10)]
    make_cache(directory, dict.fromkeys(names, ()))
    parts = [store_path(name).hash_part for name in names]
    reader, start, started = reader_of(directory), threading.Thread.start, list[str]()

    def limited(thread: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)

    if allowed:
        assert set(reader.read(parts)) == set(parts)
    else:
        with pytest.raises(Unavailable, match="cannot start a thread"):
            reader.read(parts)


@pytest.mark.parametrize("url", ["http://[::1", "http://host:99999", "http://bücher.example"])
def test_invalid_url_is_not_a_cache(url: str) -> None:
    with pytest.raises(NotABinaryCache, match="the address is invalid"):
        open_cache(url, threading.Event())

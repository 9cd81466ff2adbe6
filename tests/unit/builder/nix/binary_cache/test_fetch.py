import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.binary_cache import fetch
from app.builder.nix.binary_cache.fetch import RETRIES, Fetcher, FetchFailed, FetchStopped
from tests.unit.builder.nix.binary_cache.caches import CacheServer, drop, serving, status, truncate

LIMIT = 1000


class Clock(threading.Event):
    """Is never set, and takes no time to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CacheServer]:
    (tmp_path / "file").write_bytes(b"content")
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    monkeypatch.setattr(fetch, "RETRIES", replace(fetch.RETRIES, pause_seconds=0.001))
    fetcher = Fetcher(threading.Event())
    yield fetcher
    fetcher.close()


@pytest.mark.slow
def test_one_connection_serves_many_requests(server: CacheServer, fetcher: Fetcher) -> None:
    for _ in range(5):
        assert fetcher.get(f"{server.url}/file", LIMIT) == b"content"
    assert fetcher.get(f"{server.url}/missing", LIMIT) is None
    assert fetcher.get(f"{server.url}/file", LIMIT) == b"content"

    assert server.connections == 1


def test_busy_servers_and_broken_connections_are_tried_again(
    server: CacheServer, fetcher: Fetcher
) -> None:
    server.faults["file"] = [status(503), status(429), drop, truncate, status(500)]

    assert fetcher.get(f"{server.url}/file", LIMIT) == b"content"
    assert server.requests["file"] == 6


def test_a_server_that_stays_busy_is_given_up(server: CacheServer, fetcher: Fetcher) -> None:
    server.faults["file"] = [status(503)] * 20

    with pytest.raises(FetchFailed, match=rf"^{server.url}/file: the server responded with 503$"):
        fetcher.get(f"{server.url}/file", LIMIT)

    assert server.requests["file"] == 1 + RETRIES.times


def test_a_refusal_is_not_tried_again(server: CacheServer, fetcher: Fetcher) -> None:
    server.faults["file"] = [status(400)]

    with pytest.raises(FetchFailed, match="the server responded with 400"):
        fetcher.get(f"{server.url}/file", LIMIT)

    assert server.requests["file"] == 1


def test_a_requested_pause_is_kept(server: CacheServer) -> None:
    server.faults["file"] = [status(429, {"Retry-After": "7"}), status(503, {"Retry-After": "900"})]
    clock = Clock()
    fetcher = Fetcher(clock)

    assert fetcher.get(f"{server.url}/file", LIMIT) == b"content"
    fetcher.close()

    # And no server makes us wait for a quarter of an hour.
    assert clock.waited == [7, 60]


def test_each_pause_is_longer_than_the_one_before(server: CacheServer) -> None:
    server.faults["file"] = [status(503)] * 20
    clock = Clock()
    fetcher = Fetcher(clock)

    with pytest.raises(FetchFailed):
        fetcher.get(f"{server.url}/file", LIMIT)
    fetcher.close()

    assert len(clock.waited) == RETRIES.times
    for attempt, seconds in enumerate(clock.waited):
        assert seconds is not None
        assert 0.25 * 2**attempt <= seconds <= 0.5 * 2**attempt


def test_being_stopped_ends_a_pause(server: CacheServer) -> None:
    server.faults["file"] = [status(503, {"Retry-After": "60"})]
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()

    fetcher = Fetcher(stop)

    with pytest.raises(FetchStopped):
        fetcher.get(f"{server.url}/file", LIMIT)
    fetcher.close()


def test_redirects_are_followed_to_other_places(
    server: CacheServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "target").write_bytes(b"moved")
    with serving(tmp_path / "other") as other:
        server.faults["file"] = [status(302, {"Location": f"{other.url}/target"})]

        assert fetcher.get(f"{server.url}/file", LIMIT) == b"moved"


def test_a_circle_of_redirects_is_left(server: CacheServer, fetcher: Fetcher) -> None:
    server.faults["file"] = [status(301, {"Location": "/file"})] * 20

    with pytest.raises(FetchFailed, match="redirects"):
        fetcher.get(f"{server.url}/file", LIMIT)


def test_a_redirect_leads_to_http_only(server: CacheServer, fetcher: Fetcher) -> None:
    server.faults["file"] = [status(301, {"Location": "file:///etc/passwd"})]

    with pytest.raises(FetchFailed, match="not an http or https URL"):
        fetcher.get(f"{server.url}/file", LIMIT)


def test_more_than_the_limit_is_not_read(
    server: CacheServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * (LIMIT + 1))

    with pytest.raises(FetchFailed, match="more than 1000 bytes"):
        fetcher.get(f"{server.url}/file", LIMIT)


def test_a_failure_keeps_the_secrets_of_a_url(server: CacheServer, fetcher: Fetcher) -> None:
    server.faults["file"] = [status(400)]
    url = server.url.replace("//", "//user:secret@")

    with pytest.raises(FetchFailed) as caught:
        fetcher.get(f"{url}/file?token=secret", LIMIT)

    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_a_failure(fetcher: Fetcher) -> None:
    with pytest.raises(FetchFailed, match=r"^http://127.0.0.1:1/file: .*Could not connect"):
        fetcher.get("http://127.0.0.1:1/file", LIMIT)


@pytest.mark.parametrize("code", [200, 206, 429])
def test_numbers_of_any_length_in_headers_are_ignored(
    server: CacheServer, fetcher: Fetcher, code: int
) -> None:
    digits = "9" * 5000
    headers = {"Content-Range": f"bytes {digits}-{digits}/{digits}", "Retry-After": digits}
    server.faults["file"] = [lambda handler: handler.answer(code, b"content", headers)]

    assert fetcher.get(f"{server.url}/file", LIMIT) == b"content"

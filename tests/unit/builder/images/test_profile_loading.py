"""Against a real server on loopback: redirects, time limits and sizes are httpx's to get right."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.builder.images import profile_loading as popularity
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.images.profile_loading import (
    ProfileUnavailable,
    load_profile,
    shipped_profiles,
)
from app.errors import StorageUnavailable
from app.storage.memory import MemoryStorage

DATA = {"glibc-2.35-224": 300, "git-2.39": 4}
PLAN = LayerProfile(300, {"glibc": ProfileEntry(None, 300), "git": ProfileEntry(None, 4)})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stopped = threading.Event()
        self.instead = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.server.instead or self.path.partition("?")[0]
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/popularity.json")
            self.end_headers()
        elif path == "/popularity.json":
            self._send(json.dumps(DATA).encode())
        elif path == "/plan.json":
            self._send(PLAN.to_json())
        elif path == "/page.html":
            self._send(b"<html>")
        elif path == "/large":
            self._send(b" " * 2000)
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{")
            self.wfile.flush()
            self.server.stopped.wait(10)
        else:
            self.send_error(404)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/popularity.json", "/plan.json", "/moved"])
async def test_popularity_and_plans_are_downloaded(server: _Server, path: str) -> None:
    assert await load_profile(server.url + path, MemoryStorage()) == PLAN


async def test_popularity_and_plans_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "popularity.json").write_text(json.dumps(DATA))
    (tmp_path / "plan.json").write_bytes(PLAN.to_json())

    assert await load_profile(str(tmp_path / "popularity.json"), MemoryStorage()) == PLAN
    assert await load_profile(str(tmp_path / "plan.json"), MemoryStorage()) == PLAN


def test_all_plans_of_a_directory_are_shipped(tmp_path: Path) -> None:
    other = LayerProfile(1, {"a": ProfileEntry(0, 1)})
    (tmp_path / "b.json").write_bytes(PLAN.to_json())
    (tmp_path / "a.json").write_bytes(other.to_json())

    assert shipped_profiles(tmp_path).identities == [str(other.identity), str(PLAN.identity)]


def test_a_damaged_plan_of_a_release_is_named(tmp_path: Path) -> None:
    (tmp_path / "nixpkgs.json").write_text("{")

    with pytest.raises(ProfileUnavailable, match=r"nixpkgs\.json: not JSON"):
        shipped_profiles(tmp_path)


async def _failure(source: str) -> str:
    with pytest.raises(ProfileUnavailable) as caught:
        await load_profile(source, MemoryStorage())
    message = str(caught.value)
    assert "unset it" in message
    assert "\n" not in message
    assert len(message) <= 300
    return message


async def test_a_failure_names_the_url_and_the_reason(server: _Server) -> None:
    assert f"at {server.url}/gone: the server responded with 404" in await _failure(
        f"{server.url}/gone"
    )
    assert f"at {server.url}/page.html: not JSON" in await _failure(f"{server.url}/page.html")


async def test_a_failure_names_the_file_and_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"

    assert f"at {missing}: No such file" in await _failure(str(missing))
    assert f"at {tmp_path}: Is a directory" in await _failure(str(tmp_path))


async def test_an_unreachable_server_is_a_failure(server: _Server) -> None:
    url = "http://127.0.0.1:1/popularity.json"

    assert f"at {url}: " in await _failure(url)


async def test_an_invalid_url_is_a_failure() -> None:
    assert "at http://host:port/: the address is invalid" in await _failure("http://host:port/")
    assert "s3" not in await _failure("http://me:s3@host:port/?key=s3")


@pytest.mark.slow
async def test_the_last_response_of_a_url_is_used_when_it_does_not_respond(
    server: _Server, log: list[str]
) -> None:
    storage, path = MemoryStorage(), "/plan.json?token=secret"
    await load_profile(server.url + path, storage)
    for broken in ("/gone", "/page.html"):
        server.instead = broken
        assert await load_profile(server.url + path, storage) == PLAN
    server.instead = ""
    with pytest.raises(ProfileUnavailable):
        await load_profile(server.url + "/gone", storage)

    warnings = [line for line in log if "stored copy of the layer plan" in line]
    assert len(warnings) == 2
    assert "the server responded with 404" in warnings[0]
    assert "secret" not in "".join(log)
    assert "token" not in "".join(await storage.keys(""))


async def test_a_profile_that_cannot_be_stored_is_still_used(
    server: _Server, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    async def full(key: str, body: bytes) -> None:
        raise StorageUnavailable("full")

    storage = MemoryStorage()
    monkeypatch.setattr(storage, "write", full)

    assert await load_profile(server.url + "/plan.json", storage) == PLAN
    assert [line for line in log if "cannot be kept for the next start: full" in line]


async def test_a_failure_keeps_the_secrets_of_a_url(server: _Server) -> None:
    url = server.url.replace("//", "//user:secret@")

    message = await _failure(f"{url}/gone?token=secret")

    assert "secret" not in message
    assert f"{server.url}/gone" in message


async def test_more_than_the_size_limit_is_not_read(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(popularity, "SIZE_LIMIT", 1000)
    (tmp_path / "large").write_bytes(b" " * 1001)

    assert "more than" in await _failure(f"{server.url}/large")
    assert "more than" in await _failure(str(tmp_path / "large"))


@pytest.mark.slow
async def test_a_download_that_does_not_end_is_stopped(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(popularity, "SECONDS", 0.2)

    assert "within 0.2 s" in await _failure(f"{server.url}/slow")

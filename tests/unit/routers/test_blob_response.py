"""Blobs from a real server on a real socket; with the kernel's help and without, the same bytes."""

import os
import random
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response

from app.errors import BlobUnknown, RangeInvalid
from app.oci import Digest
from app.routers.blob_response import blob_response
from app.storage.base import Content, LocalFile, Location, RemoteUrl
from tests.served import served
from tests.waiting import wait_until, wait_until_full

BODY = random.Random(1).randbytes(3_000_001)
DIGEST = Digest.of(BODY)
ETAG = f'"{DIGEST}"'


def registry(locations: dict[str, Location]) -> FastAPI:
    app = FastAPI()

    @app.api_route("/{name}", methods=["GET", "HEAD"], response_class=Response)
    async def blob(request: Request, name: str) -> Response:
        return blob_response(request, DIGEST, locations[name])

    @app.exception_handler(RangeInvalid)
    async def range_invalid(request: Request, error: RangeInvalid) -> Response:
        return Response(status_code=416, headers={"content-range": f"bytes */{error.size}"})

    @app.exception_handler(BlobUnknown)
    async def blob_unknown(request: Request, error: BlobUnknown) -> Response:
        return Response(error.message, status_code=404)

    return app


@pytest.fixture(scope="module", params=[True, False], ids=["sendfile", "plain"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("blobs")
    locations: dict[str, Location] = {
        "memory": Content(BODY),
        "remote": RemoteUrl("https://bucket.example/x?signature=1", len(BODY)),
    }
    for name, body in (("file", BODY), ("empty", b""), ("gone", b"x"), ("truncated", BODY)):
        (directory / name).write_bytes(body)
        locations[name] = LocalFile(directory / name, len(body))
    (directory / "gone").unlink()
    with (directory / "huge").open("wb") as file:
        file.truncate(1 << 30)
    locations["huge"] = LocalFile(directory / "huge", 1 << 30)
    with served(registry(locations), sendfile=request.param) as address:
        yield address.removeprefix("http://"), directory


@pytest.fixture
def connection(server: tuple[str, Path]) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(server[0], timeout=300)
    yield connection
    connection.close()


def get(
    connection: HTTPConnection, path: str, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize("path", ["/file", "/memory"])
def test_a_whole_blob_has_all_its_headers(connection: HTTPConnection, path: str) -> None:
    response, body = get(connection, path)

    assert (response.status, body) == (200, BODY)
    headers = {name.lower(): value for name, value in response.getheaders()}
    del headers["date"]
    assert headers == {
        "content-type": "application/octet-stream",
        "content-length": "3000001",
        "docker-content-digest": str(DIGEST),
        "etag": ETAG,
        "accept-ranges": "bytes",
        "cache-control": "public, max-age=31536000, immutable",
        "x-accel-buffering": "no",
    }


@pytest.mark.parametrize("path", ["/file", "/memory", "/remote"])
def test_head_has_the_headers_of_get_and_is_never_redirected(
    connection: HTTPConnection, path: str
) -> None:
    whole, _ = get(connection, "/file")

    response, body = get(connection, path, "HEAD", range="bytes=0-4")

    assert (response.status, body) == (200, b"")
    assert [h for h in response.getheaders() if h[0] != "date"] == [
        h for h in whole.getheaders() if h[0] != "date"
    ]


@pytest.mark.parametrize("path", ["/file", "/memory"])
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 3_000_000),
        ("bytes=201-", 201, 3_000_000),
        ("bytes=1000000-2999999", 1_000_000, 2_999_999),
        ("bytes=3000000-", 3_000_000, 3_000_000),
        ("bytes=3000000-4000000", 3_000_000, 3_000_000),
        ("bytes=-1", 3_000_000, 3_000_000),
        ("bytes=-5000000", 0, 3_000_000),
        ("BYTES= 5-9 ", 5, 9),
    ],
)
def test_a_range_returns_exactly_its_bytes(
    connection: HTTPConnection, path: str, asked: str, first: int, last: int
) -> None:
    response, body = get(connection, path, range=asked)

    assert response.status == 206
    assert response.getheader("content-range") == f"bytes {first}-{last}/3000001"
    assert response.getheader("content-length") == str(last - first + 1)
    assert body == BODY[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    ["items=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "bytes=5-4", "0-1",
     "bytes=0-" + "9" * 30, "bytes=-5-9", "bytes=\xb2-"],
)  # fmt: skip
def test_other_ranges_than_one_of_bytes_are_ignored(connection: HTTPConnection, asked: str) -> None:
    response, body = get(connection, "/file", range=asked)

    assert (response.status, body) == (200, BODY)
    assert response.getheader("content-range") is None


@pytest.mark.parametrize("asked", ["bytes=3000001-", "bytes=9999999-99999999", "bytes=-0"])
def test_an_unsatisfiable_range_is_refused(connection: HTTPConnection, asked: str) -> None:
    response, body = get(connection, "/file", range=asked)

    assert (response.status, body) == (416, b"")
    assert response.getheader("content-range") == "bytes */3000001"


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=-1", "bytes=7-9"])
def test_any_range_of_an_empty_blob_is_the_empty_blob(
    connection: HTTPConnection, asked: str
) -> None:
    response, body = get(connection, "/empty", range=asked)

    assert (response.status, body) == (200, b"")
    assert response.getheader("content-length") == "0"


def test_two_range_headers_are_ignored(connection: HTTPConnection) -> None:
    connection.putrequest("GET", "/file")
    connection.putheader("Range", "bytes=0-1")
    connection.putheader("Range", "bytes=4-5")
    connection.endheaders()

    response = connection.getresponse()

    assert (response.status, response.read()) == (200, BODY)


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Tue, 01 Jan 2030 00:00:00 GMT", 200)],
)
def test_if_range_with_the_same_digest_returns_the_range(
    connection: HTTPConnection, condition: str, status: int
) -> None:
    response, _ = get(connection, "/file", range="bytes=0-9", if_range=condition)

    assert response.status == status


@pytest.mark.parametrize("condition", [ETAG, f"W/{ETAG}", f'"a", {ETAG}', "*"])
@pytest.mark.parametrize("path", ["/file", "/memory", "/remote"])
def test_a_client_with_the_blob_gets_no_body(
    connection: HTTPConnection, path: str, condition: str
) -> None:
    for method in ("GET", "HEAD"):
        response, body = get(connection, path, method, if_none_match=condition)

        assert (response.status, body) == (304, b"")
        assert response.getheader("etag") == ETAG


def test_a_client_with_another_blob_gets_this_one(connection: HTTPConnection) -> None:
    response, body = get(connection, "/file", if_none_match='"sha256:0", W/"*"')

    assert (response.status, body) == (200, BODY)


def test_the_redirect_to_a_remote_blob_is_not_cached(connection: HTTPConnection) -> None:
    response, body = get(connection, "/remote", range="bytes=0-9")

    assert (response.status, body) == (307, b"")
    assert response.getheader("location") == "https://bucket.example/x?signature=1"
    assert response.getheader("cache-control") == "no-store"


def test_a_missing_file_is_an_error_and_not_an_empty_body(
    connection: HTTPConnection,
) -> None:
    response, body = get(connection, "/gone")

    assert response.status == 404
    assert b"not stored any longer" in body


@pytest.mark.slow
def test_one_connection_serves_many_requests(connection: HTTPConnection) -> None:
    connection.connect()
    first = connection.sock.getsockname()

    for number in range(20):
        for path, length in (("/file", 3_000_001), ("/empty", 0), ("/memory", 3_000_001)):
            assert len(get(connection, path)[1]) == length
        assert get(connection, "/file", range=f"bytes={number}-")[1] == BODY[number:]

    assert connection.sock.getsockname() == first


def test_pipelined_requests_get_responses_in_order(server: tuple[str, Path]) -> None:
    host, port = server[0].split(":")
    request = b"GET /file HTTP/1.1\r\nhost: x\r\nrange: bytes=%d-%d\r\n%s\r\n"
    wanted = [(0, 2_000_000), (5, 9), (1_000_000, 3_000_000)]

    with socket.create_connection((host, int(port))) as client:
        for number, (first, last) in enumerate(wanted):
            close = b"connection: close\r\n" if number == len(wanted) - 1 else b""
            client.sendall(request % (first, last, close))
        answers = b"".join(iter(lambda: client.recv(1 << 20), b""))

    for first, last in wanted:
        head, _, answers = answers.partition(b"\r\n\r\n")
        assert f"bytes {first}-{last}/".encode() in head
        length = last - first + 1
        assert answers[:length] == BODY[first : last + 1]
        answers = answers[length:]
    assert answers == b""


@pytest.mark.slow
def test_a_slow_reader_gets_every_byte(server: tuple[str, Path]) -> None:
    host, port = server[0].split(":")

    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        wait_until_full(client)
        answer = b"".join(iter(lambda: client.recv(100_000), b""))

    assert answer.partition(b"\r\n\r\n")[2] == BODY


def test_a_truncated_file_cuts_the_connection(
    connection: HTTPConnection, server: tuple[str, Path]
) -> None:
    os.truncate(server[1] / "truncated", 1_000_000)
    connection.request("GET", "/truncated")

    with pytest.raises(IncompleteRead) as short:
        connection.getresponse().read()

    assert short.value.partial == BODY[:1_000_000]


def open_files(directory: Path) -> int:
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
        except FileNotFoundError:
            continue
        found += target.parent == directory or str(target).startswith("socket:")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("farewell", ["close", "reset"])
def test_disconnects_leave_no_file_open(server: tuple[str, Path], farewell: str) -> None:
    host, port = server[0].split(":")
    before = open_files(server[1])
    clients = [socket.create_connection((host, int(port))) for _ in range(30)]
    for client in clients:
        client.sendall(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
    for client in clients:
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert open_files(server[1]) > before + 60
    for client in clients:
        if farewell == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

    wait_until(lambda: open_files(server[1]) <= before)

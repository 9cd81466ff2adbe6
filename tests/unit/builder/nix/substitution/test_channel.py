"""The simulated channel closes every connection."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.channel.server import Channel
from scripts.channel.serving import serve, serving


@pytest.fixture(autouse=True)
def unclosed() -> Iterator[None]:
    """Report sockets that a test left open as its own failure."""
    yield
    gc.collect()


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_accepted_at_the_end_is_closed(
    tmp_path: Path, turns: int
) -> None:
    started = asyncio.Event()
    channel = Channel(tmp_path)
    serving = asyncio.create_task(serve(channel, started.set))
    await started.wait()

    with socket.create_connection(("127.0.0.1", channel.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        client.settimeout(10)
        with suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with (
        serving(Channel(tmp_path)) as first,
        pytest.raises(OSError, match="in use"),
        serving(Channel(tmp_path, port=first.port)),
    ):
        pass


def test_held_responses_are_sent_after_their_release(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    channel = Channel(tmp_path)
    channel.on_request = lambda _: channel.release()
    channel.fail("file", "hold")
    with serving(channel), socket.create_connection(("127.0.0.1", channel.port)) as client:
        client.sendall(b"GET /file HTTP/1.1\r\n\r\n")
        client.settimeout(10)
        with client.makefile("rb") as response:
            assert response.readline() == b"HTTP/1.1 200 OK\r\n"
            assert [response.readline() for _ in range(2)][-1] == b"\r\n"
            assert response.read(7) == b"content"


def test_a_file_is_sent_in_parts(tmp_path: Path) -> None:
    """One that fits in no memory shows that it is not read as a whole."""
    size = 1 << 40
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    with (
        serving(Channel(tmp_path)) as channel,
        socket.create_connection(("127.0.0.1", channel.port)) as client,
    ):
        client.sendall(b"GET /file HTTP/1.1\r\n\r\n")
        client.settimeout(10)
        with client.makefile("rb") as response:
            assert response.readline() == b"HTTP/1.1 200 OK\r\n"
            assert response.readline() == b"Content-Length: %d\r\n" % size
            assert response.readline() == b"\r\n"
            assert response.read(1 << 20) == bytes(1 << 20)

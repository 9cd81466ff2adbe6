"""Requests to binary caches, which one thread makes."""

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from app.builder.nix.binary_cache.exchange import TransferOptions, TransferStopped
from app.builder.nix.substitution.client import CONNECTIONS, CacheClient
from scripts.channel.server import Channel
from scripts.channel.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    (tmp_path / "file").write_bytes(b"content")
    return Channel(tmp_path)


async def test_one_thread_makes_all_requests_at_the_same_time(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel.fail("file", "hold")
    client = CacheClient(TransferOptions())
    threads: set[int] = set()
    starts: list[int] = []
    start = threading.Thread.start

    def count(thread: threading.Thread) -> None:
        starts.append(threading.get_ident())
        start(thread)

    async def get() -> bytes | None:
        threads.add(threading.get_ident())
        return await client.get(f"{channel.url}/file", 100)

    def requested(path: str) -> None:
        if len(channel.requests) == CONNECTIONS - 1:
            channel.release()

    channel.on_request = requested
    with serving(channel):
        monkeypatch.setattr(threading.Thread, "start", count)
        found = await asyncio.gather(*(client.query(get) for _ in range(2 * CONNECTIONS)))
        monkeypatch.undo()
        client.close()

    assert found == [b"content"] * (2 * CONNECTIONS)
    assert len(threads) == 1
    assert len(starts) == 1


async def test_closing_ends_requests_that_wait_and_refuses_others(channel: Channel) -> None:
    channel.fail("file", "hold")
    client = CacheClient(TransferOptions())
    with serving(channel):
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def requested(_: str) -> None:
            loop.call_soon_threadsafe(begun.set)

        channel.on_request = requested
        get = partial(client.get, f"{channel.url}/file", 100)
        waiting = asyncio.create_task(client.query(get))
        await begun.wait()

        client.close()

        with pytest.raises(TransferStopped):
            await waiting
        with pytest.raises(TransferStopped):
            await client.query(get)


async def test_a_request_whose_caller_is_cancelled_ends(channel: Channel) -> None:
    channel.fail("file", "hold", times=CONNECTIONS)
    client = CacheClient(TransferOptions())
    with serving(channel):
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def requested(_: str) -> None:
            if len(channel.requests) == CONNECTIONS - 1:
                loop.call_soon_threadsafe(begun.set)

        channel.on_request = requested
        get = partial(client.get, f"{channel.url}/file", 100)
        waiting = [asyncio.create_task(client.query(get)) for _ in range(CONNECTIONS)]
        await begun.wait()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        # All connections are free again.
        assert await client.query(get) == b"content"
        client.close()

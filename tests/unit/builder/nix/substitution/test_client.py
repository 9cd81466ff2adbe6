"""Threads for requests to binary caches."""

import asyncio
import threading

import pytest

from app.builder.nix.binary_cache.transfer import TransferOptions
from app.builder.nix.substitution.client import CONNECTIONS, CacheClient

pytestmark = pytest.mark.anyio


async def test_the_event_loop_starts_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start would hold it until the new thread runs."""
    starts: list[int] = []
    start = threading.Thread.start

    def count(thread: threading.Thread) -> None:
        starts.append(threading.get_ident())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", count)
    client = CacheClient(TransferOptions())
    together = threading.Barrier(CONNECTIONS)

    waits = await asyncio.gather(*(client.query(together.wait) for _ in range(CONNECTIONS)))
    client.close()

    assert sorted(waits) == list(range(CONNECTIONS))
    assert len(starts) == 2 * CONNECTIONS
    assert starts.count(threading.get_ident()) == 1

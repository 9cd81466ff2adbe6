"""Requests to binary caches, by one thread, over connections that are kept open."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from app.builder.nix.binary_cache.exchange import TransferFailed, TransferOptions
from app.builder.nix.binary_cache.small_file import SmallFile
from app.builder.nix.binary_cache.transfer_thread import Running, TransferThread
from app.builder.nix.substitution.encodings import decoded
from app.telemetry.lookups import count_cache_request

T = TypeVar("T")

# At 20 ms a request, 128 connections were hardly faster than 48.  Nix opens 25.
CONNECTIONS = 48
# A narinfo has some hundred bytes: a cache that takes so many times ``stall_seconds`` is too slow.
_STALLS = 2


class CacheClient:
    """Narinfos and archives have connections of their own: neither waits for the other."""

    def __init__(self, options: TransferOptions) -> None:
        self._seconds = _STALLS * options.stall_seconds
        self._thread = TransferThread(options, connections=2 * CONNECTIONS)
        self._requests = asyncio.Semaphore(CONNECTIONS)
        self._downloads = asyncio.Semaphore(CONNECTIONS)

    async def query(self, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run work that calls ``get`` in the thread.  Raises TransferStopped."""
        return await self._thread.run(work)

    async def get(self, url: str, size_limit: int) -> bytes | None:
        """Return the body, or None if the server does not have it; in the thread.

        Raises TransferFailed.
        """
        try:
            body, _ = await self.get_dated(url, size_limit)
        except TransferFailed:
            count_cache_request("failed")
            raise
        count_cache_request("absent" if body is None else "found")
        return body

    async def get_dated(self, url: str, size_limit: int) -> tuple[bytes | None, str]:
        """Do the same, and return the time by the server's clock, "" if it sends none."""
        file = SmallFile(size_limit)
        async with self._requests:
            with self._thread.exchange() as exchange, file.received():
                await self._thread.get(
                    exchange, url, file.take, seconds=self._seconds, is_decoded=False
                )
            body = file.body
            if body is not None and exchange.encoding:
                body = decoded(body, exchange.encoding, size_limit)
            return body, exchange.date

    def start(self, download: Callable[[TransferThread], Coroutine[None, None, T]]) -> Running[T]:
        """Begin a download in the thread, in the order of the calls."""

        async def run() -> T:
            async with self._downloads:
                return await download(self._thread)

        return self._thread.submit(run)

    def close(self) -> None:
        """Cancel all transfers; these have ended soon after."""
        self._thread.close()

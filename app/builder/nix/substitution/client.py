"""Threads for requests to binary caches, each with a connection that is kept open."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from app.builder.nix.binary_cache.fetch import Fetcher
from app.builder.nix.binary_cache.transfer import Transfer, TransferFailed, TransferOptions
from app.system.blocking import blocking
from app.telemetry.lookups import count_cache_request

T = TypeVar("T")

# At 20 ms a request, 128 connections were hardly faster than 48.  Nix opens 25.
CONNECTIONS = 48
# A narinfo has some hundred bytes: a cache that takes so many times ``stall_seconds`` is too slow.
_STALLS = 2


class CacheClient:
    """Narinfos and archives have threads of their own, so that neither waits for the other."""

    def __init__(self, options: TransferOptions) -> None:
        self._stop = threading.Event()
        self._seconds = _STALLS * options.stall_seconds
        self._fetcher = Fetcher(self._stop, options)
        self._queries = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="narinfo")
        self._downloads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="download")
        self._started: asyncio.Future[None] | None = None

    @blocking
    def get(self, url: str, size_limit: int) -> bytes | None:
        """Return the body, or None if the server does not have it.

        Raises TransferFailed, TransferStopped.
        """
        try:
            body = self._fetcher.get_once(url, size_limit, self._seconds)
        except TransferFailed:
            count_cache_request("failed")
            raise
        count_cache_request("absent" if body is None else "found")
        return body

    @blocking
    def get_dated(self, url: str, size_limit: int) -> tuple[bytes | None, str]:
        """Do the same, and return the time by the server's clock, "" if it sends none."""
        body = self._fetcher.get_once(url, size_limit, self._seconds)
        return body, self._fetcher.transfer().date

    async def query(self, work: Callable[[], T]) -> T:
        """Run work that calls ``get`` in a thread."""
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.run_in_executor(self._queries, self._start_threads)
        if not self._started.done():
            await asyncio.shield(self._started)
        return await loop.run_in_executor(self._queries, work)

    def start(self, download: Callable[[Transfer], None]) -> Future[None]:
        """Run a download in a thread, in the order of the calls."""
        return self._downloads.submit(lambda: download(self._fetcher.transfer()))

    @blocking
    def _start_threads(self) -> None:
        """Start all threads before the first of them has work.

        Starting a thread includes waiting until it runs: the event loop would stand still for
        milliseconds each time while others compute.
        """
        are_all_there = threading.Event()
        try:
            for threads in (self._queries, self._downloads):
                for _ in range(CONNECTIONS):
                    threads.submit(are_all_there.wait)
        finally:
            are_all_there.set()

    def close(self) -> None:
        """Stop all transfers, which takes a second at most."""
        self._stop.set()
        self._queries.shutdown(wait=False, cancel_futures=True)
        self._downloads.shutdown(wait=False, cancel_futures=True)

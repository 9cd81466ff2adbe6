"""One thread for all transfers from binary caches.

A thread for each connection would contend for Python's interpreter with the event loop that serves
clients, and with packing.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import uvloop

from app.builder.nix.binary_cache.exchange import (
    Exchange,
    TransferOptions,
    TransferStopped,
    Write,
)
from app.builder.nix.binary_cache.multi import Multi
from app.system.thread_pool import no_thread

T = TypeVar("T")


class Running(Generic[T]):
    """Work in the thread with the event loop.  Without a loop it is refused.

    ``result`` has TransferStopped if the work was cancelled or refused.
    """

    def __init__(
        self,
        work: Callable[[], Coroutine[None, None, T]],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.result: Future[T] = Future()
        # Only ``cancel`` cancels the work, and a result follows in any case.
        self.result.set_running_or_notify_cancel()
        self._work = work
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        if loop is None:
            self.result.set_exception(TransferStopped())
        else:
            loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        """Cancel the work, from any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the thread has ended, and the work with it
                loop.call_soon_threadsafe(self._cancel)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.result.set_exception(TransferStopped())
        elif (error := task.exception()) is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(task.result())


class TransferThread:
    """Started by the first work; ``connections`` are kept open."""

    def __init__(self, options: TransferOptions, *, connections: int) -> None:
        self._options = options
        self._connections = connections
        self._idle: list[Exchange] = []
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._is_closed = False
        self._multi: Multi | None = None

    def submit(self, work: Callable[[], Coroutine[None, None, T]]) -> Running[T]:
        """Begin work in the thread, from any thread, in the order of the calls.

        Raises Unavailable if the thread cannot be started.
        """
        with self._changing:
            if self._is_closed:
                return Running(work)
            if self._loop is None:
                self._loop = self._start()
            return Running(work, self._loop)

    async def run(self, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Return the result of work in the thread.  Raises TransferStopped."""
        running = self.submit(work)
        try:
            return await asyncio.wrap_future(running.result)
        except asyncio.CancelledError:
            running.cancel()
            raise

    def close(self) -> None:
        """Cancel all work; the thread ends soon after."""
        with self._changing:
            self._is_closed = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopping.set)

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Use libcurl's state for one request after the other, in the thread."""
        exchange = self._idle.pop() if self._idle else Exchange(self._options)
        try:
            yield exchange
        finally:
            self._idle.append(exchange)

    async def get(
        self,
        exchange: Exchange,
        url: str,
        write: Write,
        *,
        offset: int = 0,
        seconds: float = 0,
        is_decoded: bool = True,
    ) -> None:
        """Make a request, in the thread.  The arguments are those of ``Exchange.begin``.

        Raises TransferFailed.
        """
        assert self._multi is not None
        exchange.begin(url, write, offset=offset, seconds=seconds, is_decoded=is_decoded)
        exchange.end(*await self._multi.perform(exchange.handle))

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = uvloop.new_event_loop()
        try:
            threading.Thread(target=self._run, args=[loop], name="transfers").start()
        except RuntimeError:
            loop.close()
            raise no_thread() from None
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._serve())
        finally:
            loop.close()

    async def _serve(self) -> None:
        self._multi = Multi(self._connections)
        await self._stopping.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._multi.close()

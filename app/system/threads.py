"""Run blocking work in threads, always wait for it to finish, and stop it when it is cancelled.

A thread cannot be killed.  Long work calls ``check`` repeatedly, which raises ``Stopped`` once the
caller of ``run`` is cancelled by a time-out or a stop of the server.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter, WouldBlock
from anyio.lowlevel import checkpoint_if_cancelled

from app.system.thread_pool import ThreadPool

T = TypeVar("T")

# Limiters bound the work; a thread is started only when none is idle.  anyio's own threads cost
# twice as much CPU time for each piece of work.
_THREADS = ThreadPool("nixery")
# Nice 10 delays requests and first pulls as little as nice 3 does, but the event loop waits for a thread
# that holds the interpreter and, because of its priority, has no processor.
_NICENESS = 3
_NICEST = 19
_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


class Stopped(Exception):
    """The caller of the work was cancelled."""


def check() -> None:
    """Raise Stopped if the caller of ``run`` has been cancelled."""
    stop = _STOP.get()
    if stop is not None and stop.is_set():
        raise Stopped


def lower_priority() -> None:
    """Give the calling thread less processor time than the main one; Linux only."""
    with suppress(OSError):
        # A thread begins with the priority of the one that started it.
        niceness = os.getpriority(os.PRIO_PROCESS, os.getpid()) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(niceness, _NICEST))


# For work that computes for seconds.
_BACKGROUND = ThreadPool("background", initializer=lower_priority)


def start(count: int, *, background: int) -> None:
    """Start threads for later work, and return when all of them run.  Raise Unavailable.

    A thread that is started later delays the event loop by milliseconds while others compute: the
    loop waits until the new thread has had Python's interpreter.
    """
    _THREADS.start(count)
    _BACKGROUND.start(background)


async def run(
    work: Callable[[], T],
    *,
    limiter: CapacityLimiter,
    discard: Callable[[T], object] | None = None,
    background: bool = False,
) -> T:
    """Run the work in a thread and return only when it has finished, also when cancelled.

    anyio delays only the cancellation of its own scopes.  A task that asyncio cancels, such as
    the sibling of a failed one in a TaskGroup, would close files that a thread still writes to;
    other files may get their descriptors.

    Cancellation reaches the work through ``check`` only.  ``discard`` receives the result of
    work whose caller was cancelled, in a thread as well, for example to close a file.
    ``background`` threads have a lower priority.
    """
    stop = threading.Event()

    def start() -> T:
        _STOP.set(stop)  # in the thread's own copy of the context
        return work()

    async with _Slot(limiter):  # a caller that is cancelled while it waits here starts no work
        thread = _start(start, _BACKGROUND if background else _THREADS)
        try:
            await _until_done(thread, on_cancel=stop.set)
        except asyncio.CancelledError:
            if not thread.cancelled() and thread.exception() is None and discard:
                await finish(partial(discard, thread.result()))
            raise
        return thread.result()


async def finish(work: Callable[[], T]) -> T:
    """Run work that has to happen, such as a release; a cancellation is raised after it.

    It waits for no other work, and ``check`` does not stop it.
    """
    thread = _start(work)
    await _until_done(thread)
    return thread.result()


class _Slot:
    """A token of a limiter; one that is free is taken without a turn of the event loop."""

    def __init__(self, limiter: CapacityLimiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        await checkpoint_if_cancelled()
        try:
            self._limiter.acquire_on_behalf_of_nowait(self)
        except WouldBlock:
            await self._limiter.acquire_on_behalf_of(self)

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release_on_behalf_of(self)


def _start(work: Callable[[], T], pool: ThreadPool = _THREADS) -> Future[T]:
    return pool.submit(copy_context().run, work)


async def _until_done(thread: Future[T], on_cancel: Callable[[], None] = lambda: None) -> None:
    """Wait for the thread; a cancellation is raised once it is done."""
    try:
        await _done(thread)
    except asyncio.CancelledError:
        on_cancel()
        with CancelScope(shield=True):
            while not thread.done():
                with suppress(asyncio.CancelledError):
                    await _done(thread)
        raise


async def _done(thread: Future[T]) -> None:
    """Wait for the thread, at half of the cost of ``run_in_executor`` with ``asyncio.wait``."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    def notify(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle)

    thread.add_done_callback(notify)
    await done

"""Run blocking work in threads, always wait for it to finish, and end it when it is cancelled.

A thread cannot be killed.  Work that takes long calls ``check`` again and again, which raises
``Stopped`` as soon as the caller of ``run`` is cancelled, by a time-out or a stop of the server.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

T = TypeVar("T")

_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


class Stopped(Exception):
    """The caller of the work was cancelled."""


def check() -> None:
    """Raise Stopped if the work that this thread does for ``run`` is no longer wanted."""
    stop = _STOP.get()
    if stop is not None and stop.is_set():
        raise Stopped


async def run(
    work: Callable[[], T],
    *,
    limiter: CapacityLimiter,
    discard: Callable[[T], object] | None = None,
) -> T:
    """The work has ended when this ends, also when the caller is cancelled meanwhile.

    anyio holds back only the cancellation of its own scopes.  A task cancelled by asyncio, as
    the siblings in a TaskGroup are when one fails, would go on to close files by whose numbers
    a thread still writes; those numbers soon belong to other files.

    Cancellation reaches the work through ``check`` only.

    What is opened by work whose caller is cancelled nobody else knows of: ``discard`` gets it.
    """
    stop = threading.Event()

    def begin() -> T:
        _STOP.set(stop)  # in the thread's own copy of the context
        return work()

    async with limiter:  # who is cancelled while waiting here has not begun
        thread = asyncio.create_task(to_thread.run_sync(begin, limiter=CapacityLimiter(1)))
        with CancelScope(shield=True):
            try:
                await asyncio.shield(thread)
            except asyncio.CancelledError:
                stop.set()
                while not thread.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait({thread})
                # An exception is seen and goes no further: the cancellation goes first.
                if not thread.cancelled() and thread.exception() is None and discard:
                    discard(thread.result())
                raise
        return thread.result()

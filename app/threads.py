"""Blocking work in threads that nobody walks away from."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

T = TypeVar("T")


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

    What is opened by work whose caller is cancelled nobody else knows of: ``discard`` gets it.
    """
    async with limiter:  # who is cancelled while waiting here has not begun
        thread = asyncio.create_task(to_thread.run_sync(work, limiter=CapacityLimiter(1)))
        with CancelScope(shield=True):
            try:
                await asyncio.shield(thread)
            except asyncio.CancelledError:
                while not thread.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait({thread})
                # An exception is seen and goes no further: the cancellation goes first.
                if not thread.cancelled() and thread.exception() is None and discard:
                    discard(thread.result())
                raise
        return thread.result()

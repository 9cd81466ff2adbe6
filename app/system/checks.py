"""Run work under checks that stop it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

# Returns how many seconds may pass until the next call; raises an exception to stop the work.
Check = Callable[[], Coroutine[Any, Any, float]]


async def run_checked(work: Callable[[], Coroutine[Any, Any, T]], checks: Sequence[Check]) -> T:
    """Return the result of ``work``.

    Every check passes before the work starts.  A check that fails later cancels the work, and its
    exception is raised.
    """
    pauses = [await check() for check in checks]
    running = asyncio.ensure_future(work())
    watching: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(_repeat(check, pause))
        for check, pause in zip(checks, pauses, strict=True)
    ]
    try:
        await asyncio.wait((running, *watching), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        for task in watching:
            if task.done():
                task.result()
        raise AssertionError("a check only ends with an error")
    finally:
        for task in (*watching, running):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _repeat(check: Check, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        pause = await check()

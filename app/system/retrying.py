"""Retry after transient faults, within a number of attempts and a time.

Configuring a library for these rules takes as many lines as the loop below.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# HTTP statuses after which a server may have another response to the same request.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """Up to ``times`` more attempts, none of them started later than ``seconds`` after the first.

    The first pause is ``pause_seconds``; each further one is twice as long.
    """

    times: int
    seconds: float
    pause_seconds: float = 1


async def retry(
    work: Callable[[], Awaitable[T]],
    *,
    retries: Retries,
    transient: tuple[type[Exception], ...],
    on_retry: Callable[[Exception, float], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return the result of ``work``; raise its last error, or the first that is not transient.

    ``on_retry`` is called with the error and the pause that follows.
    """
    end = clock() + retries.seconds
    pause = retries.pause_seconds
    for left in range(retries.times, -1, -1):
        try:
            return await work()
        except transient as error:
            if not left or clock() + pause > end:
                raise
            on_retry(error, pause)
        await sleep(pause)
        pause *= 2
    raise AssertionError("the last attempt returns or raises")

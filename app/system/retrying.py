"""Retry after transient faults, within a number of attempts and a time.

Configuring a library for these rules takes as many lines as the loop below.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_SERVER_ERRORS = 500
_TRANSIENT_STATUSES = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Retries:
    """Up to ``times`` more attempts, none of them started later than ``seconds`` after the first.

    The first pause is ``pause_seconds``; each further one is twice as long.
    """

    times: int
    seconds: float
    pause_seconds: float = 1


def is_transient_status(status: int) -> bool:
    """Return whether a server may have another response to the same request.

    Proxies have statuses of their own above 504, such as 520 to 527 and 529.
    """
    return status >= _SERVER_ERRORS or status in _TRANSIENT_STATUSES


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

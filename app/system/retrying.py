"""Retry after transient faults, within a number of attempts and a time.

Configuring a library for these rules takes as many lines as the loop below.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

E = TypeVar("E", bound=Exception)
T = TypeVar("T")

_LONGEST_PAUSE = 60.0
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

    def pause(self, failures: int, requested: float | None = None) -> float | None:
        """Return the pause after so many failures in a row; None if no attempt follows.

        ``requested`` is the pause that a server requested instead.
        """
        if failures > self.times:
            return None
        own = self.pause_seconds * 2.0 ** (failures - 1)
        return min(own if requested is None else requested, _LONGEST_PAUSE)


def is_transient_status(status: int) -> bool:
    """Return whether a server may have another response to the same request.

    Proxies have statuses of their own above 504, such as 520 to 527 and 529.
    """
    return status >= _SERVER_ERRORS or status in _TRANSIENT_STATUSES


def _no_request(_: Exception) -> None:
    """Return None: these errors request no pause."""


async def retry(
    work: Callable[[], Awaitable[T]],
    *,
    retries: Retries,
    transient: type[E] | tuple[type[E], ...],
    on_retry: Callable[[E, float], None],
    requested: Callable[[E], float | None] = _no_request,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return the result of ``work``; raise its last error, or the first that is not transient.

    ``on_retry`` is called with the error and the pause that follows.  ``requested`` returns the
    pause that a server requested.
    """
    end = clock() + retries.seconds
    for failures in count(1):
        try:
            return await work()
        except transient as error:
            pause = retries.pause(failures, requested(error))
            if pause is None or clock() + pause > end:
                raise
            on_retry(error, pause)
        await sleep(pause)
    raise AssertionError("the last attempt returns or raises")

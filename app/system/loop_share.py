"""A share of the event loop: work that takes at most some time of each of the loop's turns.

The loop runs everything that is ready, in order.  A hundred clients that request pages would let
every other client wait for a hundred pages.
"""

import asyncio
import time
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from app.errors import TooManyRequests

T = TypeVar("T")
Turn = asyncio.Future[None]

_SECONDS = 0.001
_WAITING_EACH = 500
_RETRY_SECONDS = 2
_WEIGHT = 0.1
_LEAST = 0.00002  # seconds that the event loop takes to continue work, whatever its step takes
_SHARE: "ContextVar[LoopShare | None]" = ContextVar("share", default=None)


def current_share() -> "LoopShare | None":
    """Return the share that the caller's work has a part of; tasks that it starts are not in it."""
    return _SHARE.get()


class LoopShare:
    """Work that shares ``seconds`` of each turn of the event loop.

    A step of the work is what it runs between two waits, and is not interrupted: the last one of a
    turn may take longer.  Work that has begun comes before new work, since it may hold places in
    queues.  Clients with new work take turns, and one has at most ``waiting_each`` that wait.
    """

    def __init__(
        self,
        *,
        seconds: float = _SECONDS,
        waiting_each: int = _WAITING_EACH,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._seconds = seconds
        self._waiting_each = waiting_each
        self._clock = clock
        self._spent = 0.0
        self._average = seconds
        self._scheduled = False
        self._begun: deque[Turn] = deque()
        # By client; the next one is first.
        self._new: OrderedDict[str, deque[Turn]] = OrderedDict()

    async def run(self, client: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the work in the caller's task.  Raises TooManyRequests."""
        if self._is_over():
            await self._enter(client)
        return await self._in_this_share(start())

    async def run_accepted(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run work that a request with a turn of its own has started: it counts as begun."""
        if self._is_over():
            await self._turn_in(self._begun)
        return await self._in_this_share(start())

    async def _in_this_share(self, work: Coroutine[Any, Any, T]) -> T:
        token = _SHARE.set(self)
        try:
            return await self._in_steps(work)
        finally:
            _SHARE.reset(token)

    def _is_over(self) -> bool:
        return self._spent >= self._seconds or bool(self._begun) or bool(self._new)

    async def _enter(self, client: str) -> None:
        waiting = self._new.get(client)
        if waiting is None:
            waiting = self._new[client] = deque()
        elif client and len(waiting) >= self._waiting_each:
            raise TooManyRequests(
                f"too many requests of this address wait; try again in {_RETRY_SECONDS} s",
                retry_after=_RETRY_SECONDS,
            )
        turn = self._turn_in(waiting)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in waiting:
                waiting.remove(turn)
                if not waiting:
                    del self._new[client]
            raise

    @types.coroutine
    def _in_steps(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        step: Callable[[], Any] = partial(work.send, None)
        while True:
            begun = self._clock()
            try:
                awaited = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the work's own
            finally:
                self._spend(self._clock() - begun)
            try:
                step = partial(work.send, (yield awaited))
                if self._is_over():
                    yield from self._turn_in(self._begun)
            except BaseException as error:  # noqa: BLE001  # a cancellation, for the work
                step = partial(work.throw, error)

    def _turn_in(self, queue: deque[Turn]) -> Turn:
        turn: Turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._schedule()
        return turn

    def _spend(self, seconds: float) -> None:
        self._spent += seconds
        self._average += _WEIGHT * (seconds - self._average)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        """Let as much continue as fits into the next turn of the loop."""
        self._spent = 0.0
        self._scheduled = False
        room = self._seconds
        while (turn := self._next()) is not None:
            turn.set_result(None)
            room -= max(self._average, _LEAST)
            if room <= 0:
                break
        if self._begun or self._new:
            self._schedule()

    def _next(self) -> Turn | None:
        """Remove and return what comes next, without what was cancelled."""
        while self._begun or self._new:
            turn = self._begun.popleft() if self._begun else self._next_new()
            if not turn.done():
                return turn
        return None

    def _next_new(self) -> Turn:
        client, waiting = self._new.popitem(last=False)
        turn = waiting.popleft()
        if waiting:
            self._new[client] = waiting  # the last in turn
        return turn

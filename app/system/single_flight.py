"""Run work once at a time for each key, and give its result to all callers."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Work is cancelled when its last caller is: a time-out or a stop leaves nothing running."""

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[T]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[None, None, T]]) -> T:
        while (flight := self._flights.get(key)) is not None and not flight.callers:
            # It was cancelled and is about to end: its result would be a cancellation.
            await asyncio.wait((flight.task,))
        if flight is None:
            flight = _Flight(asyncio.create_task(work()))
            self._flights[key] = flight
            flight.task.add_done_callback(partial(self._landed, key))
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.callers -= 1
            if not flight.callers:
                flight.task.cancel()

    async def wait(self) -> None:
        """Wait until no work is running."""
        while self._flights:
            await asyncio.wait([flight.task for flight in self._flights.values()])

    async def cancel(self) -> None:
        """End all work; its callers get a CancelledError."""
        for flight in self._flights.values():
            flight.task.cancel()
        await self.wait()

    def _landed(self, key: K, task: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not task.cancelled():
            # Every caller may have been cancelled: then the exception is not retrieved otherwise.
            task.exception()


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    callers: int = 0

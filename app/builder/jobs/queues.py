"""Bounded queues with estimates of when to retry, for work that is expensive here or upstream."""

import asyncio
import heapq
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.builder.jobs.clients import Clients
from app.builder.jobs.progress import Progress
from app.errors import TooManyRequests

_WEIGHT = 0.2
_LONGEST_RETRY = 600


@dataclass(eq=False, slots=True)
class _Ticket:
    """A place in the queue.

    ``place`` and ``slot`` are the clients whose shares of waiting and of running work it uses, ""
    for no client.
    """

    clients: Clients
    number: int
    place: str
    slot: str
    admitted: asyncio.Future[None]


class WorkQueue:
    """A queue in which ``at_once`` run and ``waiting`` wait; further work is refused.

    One client has at most ``share`` of both numbers, rounded up.  The client with the fewest
    running is next, then the one that was served the longest ago, then the order of arrival.
    ``expected_seconds`` is the assumed duration until the first is measured.
    """

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        waiting: int,
        expected_seconds: float,
        share: float = 1,
        longest_retry: int = _LONGEST_RETRY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._at_once = at_once
        self._places = waiting
        self._slots_each = max(1, math.ceil(at_once * share))
        self._places_each = max(1, math.ceil(waiting * share))
        self._average = expected_seconds
        self._longest_retry = longest_retry
        self._clock = clock
        self._number = 0
        self._queue: dict[_Ticket, None] = {}
        # The time of admission, by ticket.
        self._admitted: dict[_Ticket, float] = {}
        self._running: Counter[str] = Counter()
        # The number of the last admission, by client that waits or runs.
        self._served: dict[str, int] = {}

    @asynccontextmanager
    async def slot(self, progress: Progress) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the context ends.

        Raises TooManyRequests if the queue, or the clients' share of it, is full.
        """
        async with progress.turns.holding(self.name):
            ticket = self._ticket(progress.clients)
            if not self._try(ticket):
                await self._wait(ticket, progress)
            progress.enter(self.name)
            try:
                yield
            finally:
                took = self._clock() - self._admitted[ticket]
                self._average += _WEIGHT * (took - self._average)
                self._release(ticket)

    def _ticket(self, clients: Clients) -> _Ticket:
        self._number += 1
        admitted = asyncio.get_running_loop().create_future()
        return _Ticket(clients, self._number, "", "", admitted)

    def _try(self, ticket: _Ticket) -> bool:
        """Admit the ticket at once, unless waiting tickets have precedence."""
        self._queue[ticket] = None
        self._admit()
        return ticket.admitted.done()

    async def _wait(self, ticket: _Ticket, progress: Progress) -> None:
        del self._queue[ticket]
        ticket.place = self._place(ticket.clients)
        progress.enter(f"waiting for {self.name}, {len(self._queue)} ahead")
        self._queue[ticket] = None
        with ticket.clients.watched(self._admit):
            try:
                await ticket.admitted
            except asyncio.CancelledError:
                if ticket in self._admitted:  # admitted and cancelled in the same turn
                    self._release(ticket)
                raise
            finally:
                self._queue.pop(ticket, None)

    def _place(self, clients: Clients) -> str:
        """Return the client whose place in the queue is used.

        Raises TooManyRequests if the queue, or the share of each client, is full.
        """
        taken = Counter(ticket.place for ticket in self._queue)
        least = min(clients, key=lambda client: taken[client], default="")
        full = len(self._queue) >= self._places
        if full or (least and taken[least] >= self._places_each):
            seconds = self.retry_after
            whose = "" if full else " of this address"
            raise TooManyRequests(
                f"too many builds{whose} wait for {self.name}; try again in {seconds} s",
                retry_after=seconds,
            )
        return least

    def _admit(self) -> None:
        """Give free slots to the tickets that are next."""
        while len(self._admitted) < self._at_once:
            best = min(
                (turn for ticket in self._queue if (turn := self._turn(ticket))),
                key=lambda turn: turn[:3],
                default=None,
            )
            if best is None:
                break
            *_, client, ticket = best
            del self._queue[ticket]
            ticket.slot = client
            self._admitted[ticket] = self._clock()
            self._running[client] += 1
            self._number += 1
            self._served[client] = self._number
            ticket.admitted.set_result(None)
        here = {client for ticket in self._queue for client in ticket.clients} | {*self._running}
        self._served = {c: number for c, number in self._served.items() if c in here}

    def _turn(self, ticket: _Ticket) -> tuple[int, int, int, str, _Ticket] | None:
        """Return a sortable precedence with the client and the ticket.

        Returns None if the clients of the ticket use all of their slots.
        """
        if ticket.admitted.done():  # cancelled
            return None
        if not len(ticket.clients):
            return (0, 0, ticket.number, "", ticket)
        running, served, client = min(
            (self._running[client], self._served.get(client, 0), client)
            for client in ticket.clients
        )
        if running >= self._slots_each:
            return None
        return (running, served, ticket.number, client, ticket)

    def _release(self, ticket: _Ticket) -> None:
        del self._admitted[ticket]
        self._running[ticket.slot] -= 1
        if not self._running[ticket.slot]:
            del self._running[ticket.slot]
        self._admit()

    @property
    def retry_after(self) -> int:
        """Whole seconds until all that wait now are admitted, and one more can be.

        Running work is assumed to need as long again as it has run, at least the average: the
        durations of finished work do not predict that of the work that holds the slot.
        """
        now = self._clock()
        free = [max(self._average, now - begun) for begun in self._admitted.values()]
        free += [0.0] * (self._at_once - len(free))
        heapq.heapify(free)
        for _ in range(self.waiting):
            heapq.heapreplace(free, free[0] + self._average)
        return min(max(math.ceil(free[0]), 1), self._longest_retry)

    @property
    def active(self) -> int:
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        return len(self._queue)

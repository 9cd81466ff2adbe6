"""Comparisons with all names of a package set, in a bounded queue.

Each takes some milliseconds, in which no other code of the process runs: Python's interpreter is
locked.  Several at a time would delay every response, and are not faster.
"""

from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.system.workers import Workers

P = ParamSpec("P")
T = TypeVar("T")

_WAITING = 64
_EXPECTED_SECONDS = 0.02
_LONGEST_RETRY_SECONDS = 10


class Lookups:
    """A queue in which a client has at most ``share`` of the places."""

    def __init__(self, *, workers: Workers, share: float) -> None:
        self._workers = workers
        self._queue = WorkQueue(
            "a search in names",
            at_once=1,
            waiting=_WAITING,
            expected_seconds=_EXPECTED_SECONDS,
            share=share,
            longest_retry=_LONGEST_RETRY_SECONDS,
        )

    async def run(
        self, clients: Iterable[str], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run blocking work for the clients' addresses.  Raises TooManyRequests."""
        progress = Progress()
        for client in clients:
            progress.clients.add(client)
        async with self._queue.slot(progress):
            return await self._workers.run(work, *args, **kwargs)

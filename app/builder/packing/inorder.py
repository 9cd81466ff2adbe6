"""Work done side by side whose results are taken in the order in which it was given."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

T = TypeVar("T")


class InOrder:
    """At most ``limit`` pieces are under way; ``add`` waits for one to end.

    Each piece waits in its thread for the one before it.  That one was given to the same
    first-in-first-out executor earlier, so it is running or done: nobody waits for ever.
    """

    def __init__(self, threads: Executor, *, limit: int) -> None:
        self._threads = threads
        self._permits = threading.Semaphore(limit)
        self._last: Future[None] | None = None

    def add(
        self, work: Callable[[], T], take: Callable[[T], None], end: Callable[[], None]
    ) -> None:
        """Blocking.  ``end`` is called whatever comes of the piece.

        Raises what an earlier piece raised, once that is known; then the piece was not taken on.
        """
        self._permits.acquire()
        previous = self._last
        if previous is not None and previous.done():
            previous.result()
        self._last = self._threads.submit(self._run, work, take, end, previous)

    def finish(self) -> None:
        """Blocking.  Raises what the first piece that failed has raised."""
        if self._last is not None:
            self._last.result()

    def wait(self) -> None:
        """Blocking.  Until nothing is under way, whatever came of it."""
        if self._last is not None:
            wait((self._last,))

    def _run(
        self,
        work: Callable[[], T],
        take: Callable[[T], None],
        end: Callable[[], None],
        previous: Future[None] | None,
    ) -> None:
        try:
            try:
                result = work()
            finally:
                # Also after a failure: the first one is the cause.
                if previous is not None:
                    previous.result()
            take(result)
        finally:
            end()
            self._permits.release()

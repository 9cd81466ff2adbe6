"""Work done side by side whose results are taken in the order in which it was given."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from functools import partial
from typing import TypeVar

from app.system.blocking import blocking

T = TypeVar("T")


class InOrder:
    """At most ``limit`` pieces are under way.  Who gives them does not wait but works as well:
    when ``limit`` is reached it does the oldest that no thread has begun.

    So one thread for each core but the giver's keeps all cores busy; one more, and the giver
    would lose its core at times to threads that wait for what it reads.

    Pieces are begun in order, by whomever, and each waits for the one before it before its
    result is taken: that one is being worked on, so nobody waits for ever.
    """

    def __init__(self, threads: Executor, *, limit: int) -> None:
        self._threads = threads
        self._limit = limit
        self._pieces: deque[_Piece] = deque()
        self._last: Future[None] | None = None

    @blocking
    def add(
        self, work: Callable[[], T], take: Callable[[T], None], end: Callable[[], None]
    ) -> None:
        """``end`` is called whatever comes of the piece.

        Raises what an earlier piece raised, once that is known; then the piece was not taken on.
        """
        pieces = self._pieces
        while len(pieces) >= self._limit or (pieces and pieces[0].outcome.done()):
            self.advance()
        if self._last is not None and self._last.done():
            self._last.result()
        piece = _Piece(partial(_do, work, take, self._last), end)
        self._last = piece.outcome
        pieces.append(piece)
        # Where no thread can be started, the giver does it in time.
        with suppress(RuntimeError):
            self._threads.submit(piece.run)

    @blocking
    def finish(self) -> None:
        """Raises what the first piece that failed has raised."""
        self.wait()
        if self._last is not None:
            self._last.result()

    @blocking
    def wait(self) -> None:
        """Until nothing is under way, whatever came of it."""
        while self.advance():
            pass

    @blocking
    def advance(self) -> bool:
        """Until the oldest piece has ended, helping; False if there is none."""
        if not self._pieces:
            return False
        oldest = self._pieces[0].outcome
        for piece in self._pieces:
            if oldest.done():
                break
            piece.run()
        wait((oldest,))
        self._pieces.popleft()
        return True


class _Piece:
    """Run once, by whoever comes first.

    The threads have a queue without bounds, in which pieces that others did may lie for long:
    nothing of the work is kept then.
    """

    def __init__(self, do: Callable[[], None], end: Callable[[], None]) -> None:
        self.outcome: Future[None] = Future()
        self._work: tuple[Callable[[], None], Callable[[], None]] | None = (do, end)
        self._claiming = threading.Lock()

    def run(self) -> None:
        with self._claiming:
            work, self._work = self._work, None
        if work is None:
            return
        do, end = work
        try:
            do()
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is asked for
            end()
            self.outcome.set_exception(error)
        else:
            end()
            self.outcome.set_result(None)


def _do(work: Callable[[], T], take: Callable[[T], None], previous: "Future[None] | None") -> None:
    try:
        result = work()
    finally:
        # Also after a failure: the first one is the cause.
        if previous is not None:
            previous.result()
    take(result)

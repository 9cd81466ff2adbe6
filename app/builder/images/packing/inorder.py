"""Run work in parallel, and deliver the results in the order of submission."""

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
    """Runs pieces of work in threads, and delivers their results in order.

    At most ``limit`` pieces are submitted and not finished.  Beyond that the submitting thread
    does not wait: it does the oldest piece that no thread has started.  So one thread for each core
    but the submitter's keeps all cores busy.  With one more, the submitter would lose its core at
    times to threads that wait for what it reads.

    Pieces are started in order, by any thread.  Before its result is taken, each waits for the
    one before it, which has started: a deadlock is impossible.
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
        """Submit a piece of work; ``take`` gets its result, and ``end`` is called in any case.

        Raises the error of an earlier piece, once that is known; then the piece is not accepted.
        """
        pieces = self._pieces
        while len(pieces) >= self._limit or (pieces and pieces[0].outcome.done()):
            self.advance()
        if self._last is not None and self._last.done():
            self._last.result()
        piece = _Piece(partial(_do, work, take, self._last), end)
        self._last = piece.outcome
        pieces.append(piece)
        # If no thread can be started, the submitter does the work later.
        with suppress(RuntimeError):
            self._threads.submit(piece.run)

    @blocking
    def finish(self) -> None:
        """Raise the error of the first piece that failed."""
        self.wait()
        if self._last is not None:
            self._last.result()

    @blocking
    def wait(self) -> None:
        """Wait until every piece has ended, also after errors."""
        while self.advance():
            pass

    @blocking
    def advance(self) -> bool:
        """Do work until the oldest piece has ended; return False if there is none."""
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
    """Run once, by the first thread that takes it.

    The threads' queue is unbounded, and finished pieces may stay in it for long: they keep no
    reference to their work.
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
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is read
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

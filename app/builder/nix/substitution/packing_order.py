"""Which downloads are packed next: those that are due, and others while workers are idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """The place of one download.  ``ready`` is how many bytes of its archive could be packed."""

    def __init__(self) -> None:
        self.ready = 0
        self.is_early = False
        self.granted = asyncio.Event()


class PackingOrder:
    """Grants turns to downloads that are due, and early ones to others while workers are idle.

    A download that is due hardly waits for the network.  If fewer than ``workers`` have turns, the
    one with the most bytes to pack begins early.  Half of the workers stay free of early ones,
    which wait for the network, so that one that becomes due does not wait for them.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._most_early = workers // 2
        self._waiting: set[Turn] = set()
        self._packing = 0
        self._early = 0

    @asynccontextmanager
    async def turn(self, turn: Turn) -> AsyncIterator[None]:
        """Wait until the turn is granted, and hold it."""
        self._waiting.add(turn)
        self.begin_early()
        try:
            await turn.granted.wait()
            yield
        finally:
            self._waiting.discard(turn)
            if turn.granted.is_set():
                self._packing -= 1
                self._early -= turn.is_early
            self.begin_early()

    @property
    def wants_more(self) -> bool:
        """Whether ``begin_early`` would grant a turn with bytes to pack; may be read by any thread."""
        return self._packing < self._workers and self._early < self._most_early

    def grant(self, turn: Turn) -> None:
        """Begin a download that is due, unless its turn has ended."""
        if turn in self._waiting:
            self._waiting.discard(turn)
            self._packing += 1
            turn.granted.set()

    def begin_early(self) -> None:
        """Begin others while workers are idle."""
        while self.wants_more:
            turn = max(self._waiting, key=lambda one: one.ready, default=None)
            if turn is None or not turn.ready:
                return
            turn.is_early = True
            self._early += 1
            self.grant(turn)

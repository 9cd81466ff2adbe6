"""How long each phase of a build took, and an estimate for a running one."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum


class Phase(StrEnum):
    """In the order in which a build has them; ``evaluate`` includes the wait for its queue.

    ``fetch`` makes packages valid: Nix builds them or downloads them.  What is packed while it is
    downloaded from a binary cache counts as ``pack``.
    """

    RESOLVE = "resolve"
    EVALUATE = "evaluate"
    FETCH = "fetch"
    PACK = "pack"
    STORE = "store"


Seconds = Mapping[Phase, float]


class Phases:
    """Parts of a build may be in one phase at the same time: it lasts until the last leaves it.

    ``intervals`` have the first start and the last end of each phase that has ended, by the clock.
    """

    __slots__ = ("_begun", "_clock", "_ended", "_running", "intervals")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.intervals: dict[Phase, tuple[float, float]] = {}
        self._ended: dict[Phase, float] = {}
        self._begun: dict[Phase, float] = {}
        self._running: dict[Phase, int] = {}

    @contextmanager
    def running(self, phase: Phase) -> Iterator[None]:
        count = self._running.get(phase, 0)
        if not count:
            self._begun[phase] = self._clock()
        self._running[phase] = count + 1
        try:
            yield
        finally:
            self._running[phase] -= 1
            if not self._running[phase]:
                begun, now = self._begun.pop(phase), self._clock()
                self._ended[phase] = self._ended.get(phase, 0) + now - begun
                self.intervals[phase] = (self.intervals.get(phase, (begun, 0))[0], now)

    @property
    def seconds(self) -> dict[Phase, float]:
        """The time of each phase so far, in the order of phases."""
        now = self._clock()
        found = {
            phase: self._ended.get(phase, 0) + now - self._begun.get(phase, now)
            for phase in (*self._ended, *self._begun)
        }
        return {phase: found[phase] for phase in Phase if phase in found}

    @property
    def current(self) -> frozenset[Phase]:
        return frozenset(self._begun)


def remaining_seconds(phases: Phases, samples: Sequence[Seconds]) -> float | None:
    """Estimate the rest of a build by the medians of other builds.

    A phase that has ended needs no more time, and a build skips no phase that most others have. A
    running phase is compared with those that took longer. None without other builds, and if a
    running phase exceeds all others by more than the rest would take.
    """
    if not samples:
        return None
    spent, running = phases.seconds, phases.current
    order = list(Phase)
    reached = max((order.index(phase) for phase in spent), default=-1)
    left = over = 0.0
    for number, phase in enumerate(order):
        others = [sample.get(phase, 0) for sample in samples]
        if number > reached:
            left += statistics.median(others)
        elif phase in running:
            longer = [seconds for seconds in others if seconds > spent[phase]]
            left += statistics.median(longer) - spent[phase] if longer else 0
            over += max(spent[phase] - max(others), 0)
    return None if over > left else left

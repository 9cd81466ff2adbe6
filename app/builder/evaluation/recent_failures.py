"""Failed evaluations that are kept in memory only."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from app.builder.nix.results import Failed, Validity
from app.oci import Digest

_LIMIT = 10_000  # of at most some 500 bytes each
_SECONDS = {
    Validity.ALWAYS: 0.0,  # stored
    Validity.PROCESS: math.inf,
    Validity.MINUTES: 300.0,
    Validity.NEVER: 0.0,
}


class RecentFailures:
    """Evict the failure added first when there are more than ``limit``."""

    def __init__(self, *, limit: int = _LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: OrderedDict[Digest, tuple[Failed, float]] = OrderedDict()

    def add(self, key: Digest, failure: Failed) -> None:
        """Keep the failure for as long as it is valid."""
        seconds = _SECONDS[failure.validity]
        if seconds == 0:
            return
        self._failures[key] = (failure, self._clock() + seconds)
        self._failures.move_to_end(key)
        if len(self._failures) > self._limit:
            self._failures.popitem(last=False)

    def get(self, key: Digest) -> Failed | None:
        """Return the failure; None if there is none or it has expired."""
        failure, until = self._failures.get(key, (None, 0.0))
        if failure is not None and self._clock() >= until:
            del self._failures[key]
            return None
        return failure

"""Failed evaluations that are kept in memory only."""

import math
import time
from collections.abc import Callable

from app.builder.nix.results import Failed, Validity
from app.oci import Digest
from app.system.cache import Cache

_LIMIT = 10_000  # of at most some 500 bytes each
_SECONDS = {
    Validity.ALWAYS: 0.0,  # stored
    Validity.PROCESS: math.inf,
    Validity.MINUTES: 300.0,
    Validity.NEVER: 0.0,
}


class RecentFailures:
    """Failures by the key of their name, each kept for as long as it is valid."""

    def __init__(self, *, limit: int = _LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures: Cache[Digest, Failed] = Cache(limit, clock=clock)

    def add(self, key: Digest, failure: Failed) -> None:
        seconds = _SECONDS[failure.validity]
        if seconds > 0:
            self._failures.put(key, failure, seconds=seconds)

    def get(self, key: Digest) -> Failed | None:
        """Return the failure; None if it is unknown or has expired."""
        return self._failures.get(key)

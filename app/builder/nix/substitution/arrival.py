"""When a download is so far ahead that a worker can pack it without waiting for the network."""

import time
from collections.abc import Callable

# Bytes of an archive that are packed in a second.
_PACKED = 150e6


class Arrival:
    """A download of ``size`` bytes, of an archive of ``nar_size``, that begins now.

    A worker that waits for the network keeps others from packing what has arrived.  So a path is
    due when the rest of it is expected to arrive before it is needed.
    """

    def __init__(
        self, size: int, nar_size: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._packing = nar_size / _PACKED
        self._clock = clock
        self._begun: tuple[float, int] | None = None

    def is_due(self, arrived: int) -> bool:
        """Return whether packing should begin, with so many bytes of the file.

        False for all of them: the end of a download follows at once, with its hash.
        """
        now = self._clock()
        if self._begun is None or arrived < self._begun[1]:
            # From the first bytes on, and again from those of another cache.
            self._begun = now, arrived
        begun, first = self._begun
        left = self._size - arrived
        due = left * (now - begun) <= self._packing * (arrived - first)
        return left > 0 and arrived > first and due

"""A bounded cache in memory: entries that were used last stay.

This class serves where ``cachetools`` would: that library leaves the locking to its callers, and
workers use these caches too; it raises an error for a value that is larger than the cache.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    size: int
    expiry: float


class Cache(Generic[K, V]):
    """A mapping that evicts the least recently used entries beyond ``limit``.

    ``limit`` bounds the sum of what ``size_of`` returns for each value, which is 1 by default.
    A value larger than the limit is not kept.  Entries expire after ``seconds`` of ``clock``.
    May be used by any thread.
    """

    def __init__(
        self,
        limit: int,
        *,
        size_of: Callable[[V], int] = lambda _: 1,
        seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._size_of = size_of
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The sum of the sizes of all entries."""
        return self._size

    def get(self, key: K) -> V | None:
        """Return the value and mark it as used; None if the key is absent or has expired."""
        with self._lock:
            entry = self._current(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value, seconds=self._seconds)

    def put(self, key: K, value: V, *, seconds: float) -> None:
        """Set an entry that has a lifetime of its own."""
        entry = _Entry(value, self._size_of(value), self._clock() + seconds)
        with self._lock:
            self._remove(key)
            self._entries[key] = entry
            self._size += entry.size
            while self._size > self._limit:
                self._size -= self._entries.popitem(last=False)[1].size

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return self._current(key) is not None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """Iterate over a copy of the keys, the least recently used first."""
        with self._lock:
            return iter(tuple(key for key in tuple(self._entries) if self._current(key)))

    def pop(self, key: K) -> V | None:
        """Remove the key and return its value; None if the key is absent or has expired."""
        with self._lock:
            entry = self._current(key)
            self._remove(key)
            return None if entry is None else entry.value

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._size = 0

    def _current(self, key: K) -> _Entry[V] | None:
        """Return the entry, which is removed if it has expired."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() >= entry.expiry:
            self._remove(key)
            return None
        return entry

    def _remove(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size

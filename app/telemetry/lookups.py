"""Counters of cache lookups, requests to binary caches, stored bytes and lost lines of the log.

They are those of the whole process: caches of one kind are opened in several places, so the
counters are not passed to each.
"""

import threading
from collections import Counter
from enum import StrEnum
from itertools import chain


class Result(StrEnum):
    """Where a lookup found its value."""

    MEMORY = "memory"
    STORAGE = "storage"
    ABSENT = "absent"


LOOKUPS: Counter[tuple[str, Result]] = Counter()
"""By kind of record, or ``images`` for whole images, and where it was found."""

CACHE_REQUESTS: Counter[str] = Counter()
"""Requests to binary caches: ``found``, ``absent`` or ``failed``."""

STORED: Counter[str] = Counter()
"""Bytes written to the storage: ``layers``, ``documents`` (manifests, configs) and ``records``."""

LOG: Counter[str] = Counter()
"""Lines of the log: ``dropped``, because its reader did not keep up."""

_LOCK = threading.Lock()  # records are decoded, and caches queried, in threads


def count_lookups(kind: str, result: Result, count: int = 1) -> None:
    if count:
        with _LOCK:
            LOOKUPS[kind, result] += count


def count_cache_request(outcome: str) -> None:
    with _LOCK:
        CACHE_REQUESTS[outcome] += 1


def count_stored(kind: str, size: int) -> None:
    with _LOCK:
        STORED[kind] += size


def count_dropped_lines(count: int) -> None:
    with _LOCK:
        LOG["dropped"] += count


def as_activity() -> dict[str, int]:
    """Return all counters by name, as /debug shows them."""
    lookups = ((f"lookups.{kind}.{result}", count) for (kind, result), count in LOOKUPS.items())
    requests = ((f"caches.{outcome}", count) for outcome, count in CACHE_REQUESTS.items())
    stored = ((f"stored.{kind}", size) for kind, size in STORED.items())
    log = ((f"log.{outcome}", count) for outcome, count in LOG.items())
    return dict(sorted(chain(lookups, requests, stored, log)))

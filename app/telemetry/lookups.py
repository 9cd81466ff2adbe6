"""Counters of cache lookups and of requests to binary caches, for the whole process.

Caches of one kind are opened in several places, so the counters are not passed to each.
"""

import threading
from collections import Counter
from enum import StrEnum
from itertools import chain


class Result(StrEnum):
    MEMORY = "memory"
    STORAGE = "storage"
    ABSENT = "absent"


LOOKUPS: Counter[tuple[str, Result]] = Counter()
"""By kind of record, or ``images`` for whole images, and where it was found."""

CACHE_REQUESTS: Counter[str] = Counter()
"""Requests to binary caches: ``found``, ``absent`` or ``failed``."""


_LOCK = threading.Lock()  # records are decoded, and caches queried, in threads


def count_lookups(kind: str, result: Result, count: int = 1) -> None:
    if count:
        with _LOCK:
            LOOKUPS[kind, result] += count


def count_cache_request(outcome: str) -> None:
    with _LOCK:
        CACHE_REQUESTS[outcome] += 1


def as_activity() -> dict[str, int]:
    """Return all counters by name, as /debug shows them."""
    lookups = ((f"lookups.{kind}.{result}", count) for (kind, result), count in LOOKUPS.items())
    requests = ((f"caches.{outcome}", count) for outcome, count in CACHE_REQUESTS.items())
    return dict(sorted(chain(lookups, requests)))

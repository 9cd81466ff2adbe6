"""A binary cache being read by a command, with progress, and with a memory between runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.builder.binary_cache.cache import DirectoryCache, HttpCache, open_cache
from app.builder.binary_cache.known import KnownNarInfos
from app.builder.binary_cache.reading import NarInfoReader, Tally

DEFAULT_CACHE = "https://cache.nixos.org"


@dataclass(frozen=True, slots=True)
class Survey:
    cache: HttpCache | DirectoryCache
    reader: NarInfoReader
    stop: threading.Event


@contextmanager
def surveying(location: str, known: Path, report: Callable[[Tally], None]) -> Iterator[Survey]:
    """Blocking.  A directory is read anew each time; answers over HTTP are kept in ``known``."""
    stop = threading.Event()
    cache = open_cache(location, stop)
    try:
        if isinstance(cache, DirectoryCache):
            yield Survey(
                cache, NarInfoReader(cache=cache, known=None, stop=stop, report=report), stop
            )
        else:
            with KnownNarInfos.open(known) as before:
                yield Survey(
                    cache, NarInfoReader(cache=cache, known=before, stop=stop, report=report), stop
                )
    finally:
        stop.set()

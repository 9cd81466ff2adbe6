"""A binary cache being read by a command, with progress, and with a memory between runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.builder.nix.binary_cache.cache import DirectoryCache, HttpCache, open_cache
from app.builder.nix.binary_cache.known import KnownNarInfos
from app.builder.nix.binary_cache.reading import NarInfoReader, Tally
from app.commands.store_path_list import hash_parts_in, load_store_paths

DEFAULT_CACHE = "https://cache.nixos.org"


@dataclass(frozen=True, slots=True)
class Survey:
    cache: HttpCache | DirectoryCache
    reader: NarInfoReader
    stop: threading.Event


def hash_parts(survey: Survey, store_paths: str | None) -> tuple[str, ...]:
    """Blocking.  Of the paths on the list there; None asks for all that the cache has.

    Raises ListingUnusable, FetchFailed.
    """
    if store_paths is None:
        return hash_parts_in(survey.cache)
    return tuple(path.hash_part for path in load_store_paths(store_paths, survey.stop))


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
            with KnownNarInfos.open(known, cache=cache.location) as before:
                yield Survey(
                    cache, NarInfoReader(cache=cache, known=before, stop=stop, report=report), stop
                )
    finally:
        stop.set()

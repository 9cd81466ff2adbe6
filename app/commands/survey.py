"""Access of a command to a binary cache, with progress and a file of narinfos read before."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from app.builder.nix.binary_cache.cache import DirectoryCache, HttpCache, open_cache
from app.builder.nix.binary_cache.known import KnownNarInfos
from app.builder.nix.binary_cache.reading import NarInfoReader, Tally
from app.commands.store_path_list import hash_parts_in, load_store_paths
from app.system.blocking import blocking


@dataclass(frozen=True, slots=True)
class WantedPaths:
    """Store paths of a binary cache: those of the list ``listed_at``, or all.

    ``known`` is the file for narinfos read over HTTP.
    """

    cache: str
    listed_at: str | None
    known: Path


@dataclass(frozen=True, slots=True)
class Survey:
    """A query of one binary cache.

    ``wanted`` are the hash parts of the store paths.
    """

    location: str
    wanted: tuple[str, ...]
    reader: NarInfoReader


@blocking
@contextmanager
def open_survey(paths: WantedPaths, report: Callable[[Tally], None]) -> Iterator[Survey]:
    """Open a binary cache.  Narinfos read over HTTP are kept in a file, a directory's are not.

    Raises NotABinaryCache, KnownUnusable, StorePathListInvalid, FetchFailed.
    """
    stop = threading.Event()
    cache = open_cache(paths.cache, stop)
    local = isinstance(cache, DirectoryCache)
    file = nullcontext() if local else KnownNarInfos.open(paths.known, cache=cache.location)
    try:
        with file as before:
            reader = NarInfoReader(cache=cache, known=before, stop=stop, report=report)
            yield Survey(cache.location, _hash_parts(cache, paths.listed_at, stop), reader)
    finally:
        stop.set()


@blocking
def _hash_parts(
    cache: HttpCache | DirectoryCache, listed_at: str | None, stop: threading.Event
) -> tuple[str, ...]:
    if listed_at is None:
        return hash_parts_in(cache)
    return tuple(path.hash_part for path in load_store_paths(listed_at, stop))

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
class Survey:
    cache: HttpCache | DirectoryCache
    reader: NarInfoReader
    stop: threading.Event


@blocking
def hash_parts(survey: Survey, store_paths: str | None) -> tuple[str, ...]:
    """Return the hash parts of a list of store paths; None stands for all paths of the cache.

    Raises StorePathListInvalid, FetchFailed.
    """
    if store_paths is None:
        return hash_parts_in(survey.cache)
    return tuple(path.hash_part for path in load_store_paths(store_paths, survey.stop))


@blocking
@contextmanager
def open_survey(location: str, known: Path, report: Callable[[Tally], None]) -> Iterator[Survey]:
    """Open a binary cache.  Narinfos read over HTTP are kept in ``known``, a directory's are not.

    Raises NotABinaryCache, KnownUnusable, FetchFailed.
    """
    stop = threading.Event()
    cache = open_cache(location, stop)
    local = isinstance(cache, DirectoryCache)
    try:
        with nullcontext() if local else KnownNarInfos.open(known, cache=cache.location) as before:
            reader = NarInfoReader(cache=cache, known=before, stop=stop, report=report)
            yield Survey(cache, reader, stop)
    finally:
        stop.set()

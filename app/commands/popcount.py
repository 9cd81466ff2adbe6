"""``nixery popcount``: Nixery's popularity data, from the narinfos of a binary cache."""

import sys
from collections.abc import Callable
from pathlib import Path

from app.builder.nix.binary_cache.popcount import count_references, popularity_json
from app.builder.nix.binary_cache.reading import Tally
from app.commands.failures import reported_failures
from app.commands.options import (
    CACHE,
    Cache,
    Channel,
    Known,
    Output,
    StorePaths,
    known_file,
    listing,
)
from app.commands.store_path_list import nothing_found
from app.commands.survey import hash_parts, surveying
from app.commands.terminal import Progress, write_document


def command(
    *,
    channel: Channel = None,
    store_paths: StorePaths = None,
    cache: Cache = CACHE,
    known: Known = None,
    output: Output = None,
) -> None:
    """Count how often each package is referred to, and write Nixery's popularity data.

    What was read over HTTP is kept, so an interrupted count goes on where it stopped.
    """
    with reported_failures("popcount", stopped="the same command goes on from here"):
        progress = Progress(sys.stderr)
        document = popcount(
            cache=cache,
            store_paths=listing(channel, store_paths),
            known=known_file(known),
            report=progress,
        )
        progress.end()
        write_document(document, output)


def popcount(
    *, cache: str, store_paths: str | None, known: Path, report: Callable[[Tally], None]
) -> bytes:
    """Blocking.  ``store_paths`` is where the list is; None counts all that the cache has.

    Raises StorePathListInvalid, NotABinaryCache, KnownUnusable, FetchFailed, NarInfoInvalid.
    """
    with surveying(cache, known, report) as survey:
        wanted = hash_parts(survey, store_paths)
        found = survey.reader.read(wanted)
    if not found:
        raise nothing_found(survey.cache.location, len(wanted))
    return popularity_json(count_references(found[part] for part in wanted if part in found))

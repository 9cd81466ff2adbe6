"""``nixery popcount``: Nixery's popularity data, from the narinfos of a binary cache."""

from collections.abc import Callable
from pathlib import Path

from app.builder.nix.binary_cache.popcount import count_references, popularity_json
from app.builder.nix.binary_cache.reading import Tally
from app.commands.store_path_list import nothing_found
from app.commands.survey import hash_parts, surveying


def popcount(
    *, cache: str, store_paths: str | None, known: Path, report: Callable[[Tally], None]
) -> bytes:
    """Blocking.  ``store_paths`` is where the list is; None counts all that the cache has.

    Raises ListingUnusable, NotABinaryCache, KnownUnusable, FetchFailed, NarInfoInvalid.
    """
    with surveying(cache, known, report) as survey:
        wanted = hash_parts(survey, store_paths)
        found = survey.reader.read(wanted)
    if not found:
        raise nothing_found(survey.cache.location, len(wanted))
    return popularity_json(count_references(found[part] for part in wanted if part in found))

"""``nixery popcount``: Nixery's popularity data, from the narinfos of a binary cache."""

from collections.abc import Callable
from pathlib import Path

from app.builder.binary_cache.reading import Tally
from app.builder.popularity.popcount import count_references, popularity_json
from app.commands.listing import hash_parts_in, load_store_paths, nothing_found
from app.commands.survey import surveying


def popcount(
    *, cache: str, store_paths: str | None, known: Path, report: Callable[[Tally], None]
) -> bytes:
    """Blocking.  ``store_paths`` is where the list is; None counts all that the cache has.

    Raises ListingUnusable, NotABinaryCache, KnownUnusable, FetchFailed, NarInfoInvalid.
    """
    with surveying(cache, known, report) as survey:
        if store_paths is None:
            wanted = hash_parts_in(survey.cache)
        else:
            paths = load_store_paths(store_paths, survey.stop)
            wanted = tuple(path.hash_part for path in paths)
        found = survey.reader.read(wanted)
    if not found:
        raise nothing_found(survey.cache.location, len(wanted))
    return popularity_json(count_references(found[part] for part in wanted if part in found))

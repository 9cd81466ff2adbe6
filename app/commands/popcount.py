"""``nixery popcount``: write Nixery's popularity data from the narinfos of a binary cache."""

import sys
from collections.abc import Callable

from app.builder.nix.binary_cache.popcount import count_references, popularity_json
from app.builder.nix.binary_cache.reading import Tally
from app.commands.failures import exit_on_errors
from app.commands.options import (
    DEFAULT_CACHE,
    Cache,
    Channel,
    Known,
    Output,
    StorePaths,
    wanted_paths,
)
from app.commands.store_path_list import nothing_found
from app.commands.survey import WantedPaths, open_survey
from app.commands.terminal import Progress, write_document
from app.system.blocking import blocking


def command(
    *,
    channel: Channel = None,
    store_paths: StorePaths = None,
    cache: Cache = DEFAULT_CACHE,
    known: Known = None,
    output: Output = None,
) -> None:
    """Count how often each package is referred to, and write Nixery's popularity data.

    An interrupted count can be repeated: narinfos read over HTTP are kept in a file.
    """
    with exit_on_errors("popcount", interrupted="run the same command again to continue"):
        progress = Progress(sys.stderr)
        paths = wanted_paths(channel=channel, store_paths=store_paths, cache=cache, known=known)
        document = popcount(paths, progress)
        progress.end()
        write_document(document, output)


@blocking
def popcount(paths: WantedPaths, report: Callable[[Tally], None]) -> bytes:
    """Return the popularity data of store paths.

    Raises StorePathListInvalid, NotABinaryCache, KnownUnusable, FetchFailed, NarInfoInvalid.
    """
    with open_survey(paths, report) as survey:
        found = survey.reader.read(survey.wanted)
    if not found:
        raise nothing_found(survey.location, len(survey.wanted))
    return popularity_json(count_references(found[part] for part in survey.wanted if part in found))

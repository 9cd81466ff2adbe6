"""Which store paths a command is about: a list, a channel's list, or all that a cache has."""

import re
import sys
import threading
from pathlib import Path

from app.builder.nix.binary_cache.cache import DirectoryCache, HttpCache
from app.builder.nix.binary_cache.fetch import Fetcher
from app.builder.nix.binary_cache.storepaths import SIZE_LIMIT, read_store_paths
from app.builder.nix.closure import StorePath
from app.errors import OperatorError

_CHANNELS = "https://channels.nixos.org"
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


class ListingUnusable(OperatorError):
    """One line: which list, what is wrong, and what to do where that is known."""


def nothing_found(location: str, wanted: int) -> ListingUnusable:
    return ListingUnusable(
        f"{location} has none of the {wanted} store paths" if wanted else f"{location} is empty"
    )


def channel_list(channel: str) -> str:
    """Where a channel publishes the list of its store paths.  Raises ListingUnusable."""
    if not _CHANNEL.fullmatch(channel):
        raise ListingUnusable(f"{channel!r} is no channel; one is called nixos-unstable")
    return f"{_CHANNELS}/{channel}/store-paths.xz"


def load_store_paths(location: str, stop: threading.Event) -> tuple[StorePath, ...]:
    """Blocking.  From a URL, a file, or standard input for ``-``; repetitions are kept.

    Raises ListingUnusable, FetchFailed.
    """
    try:
        paths = read_store_paths(_load(location, stop))
    except OSError as error:
        raise ListingUnusable(f"{location}: {error.strerror}") from None
    except ValueError as error:
        raise ListingUnusable(f"{location}: {error}") from None
    if not paths:
        raise ListingUnusable(f"{location} names no store path")
    return paths


def hash_parts_in(cache: HttpCache | DirectoryCache) -> tuple[str, ...]:
    """Blocking.  Raises ListingUnusable for a cache that cannot tell."""
    if not isinstance(cache, DirectoryCache):
        raise ListingUnusable(
            f"{cache.location} cannot say what it has: name the store paths with"
            " --channel or --store-paths"
        )
    return cache.hash_parts()


def _load(location: str, stop: threading.Event) -> bytes:
    if location == "-":
        return sys.stdin.buffer.read(SIZE_LIMIT)
    if not location.startswith(("http://", "https://")):
        return Path(location).read_bytes()
    fetcher = Fetcher(stop)
    try:
        document = fetcher.get(location, SIZE_LIMIT)
    finally:
        fetcher.close()
    if document is None:
        raise ListingUnusable(f"there is nothing at {location}")
    return document

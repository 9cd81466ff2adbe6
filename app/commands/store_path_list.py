"""The store paths that a command reads: a list, a channel's list, or all paths of a cache."""

import re
import sys
import threading
from pathlib import Path

from app.builder.nix.binary_cache.cache import DirectoryCache, HttpCache
from app.builder.nix.binary_cache.fetch import Fetcher
from app.builder.nix.binary_cache.storepaths import SIZE_LIMIT, read_store_paths
from app.builder.nix.closure import StorePath
from app.errors import OperatorError
from app.system.blocking import blocking

_CHANNELS = "https://channels.nixos.org"
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


class StorePathListInvalid(OperatorError):
    """The message is one line with the list, what is wrong with it, and what to do if known."""


def nothing_found(location: str, wanted: int) -> StorePathListInvalid:
    return StorePathListInvalid(
        f"{location} has none of the {wanted} store paths" if wanted else f"{location} is empty"
    )


def channel_list(channel: str) -> str:
    """Return the URL of the list of a channel's store paths.  Raises StorePathListInvalid."""
    if not _CHANNEL.fullmatch(channel):
        raise StorePathListInvalid(
            f"{channel!r} is not the name of a channel; use one like nixos-unstable"
        )
    return f"{_CHANNELS}/{channel}/store-paths.xz"


@blocking
def load_store_paths(location: str, stop: threading.Event) -> tuple[StorePath, ...]:
    """Read a list from a URL, a file, or standard input for ``-``; repetitions are kept.

    Raises StorePathListInvalid, FetchFailed.
    """
    try:
        paths = read_store_paths(_load(location, stop))
    except OSError as error:
        raise StorePathListInvalid(f"{location}: {error.strerror}") from None
    except ValueError as error:
        raise StorePathListInvalid(f"{location}: {error}") from None
    if not paths:
        raise StorePathListInvalid(f"{location} names no store path")
    return paths


@blocking
def hash_parts_in(cache: HttpCache | DirectoryCache) -> tuple[str, ...]:
    """Return the hash parts of all paths in a directory.  Raises StorePathListInvalid for HTTP."""
    if not isinstance(cache, DirectoryCache):
        raise StorePathListInvalid(
            f"{cache.location} cannot list its contents: name the store paths with"
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
        raise StorePathListInvalid(f"{location} does not exist")
    return document

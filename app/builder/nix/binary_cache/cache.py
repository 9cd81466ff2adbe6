"""A binary cache, in a directory or behind HTTP: the narinfos of store paths."""

import threading
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from app.builder.nix.binary_cache.exchange import shown
from app.builder.nix.binary_cache.fetch import Fetcher, FetchFailed
from app.builder.nix.binary_cache.narinfo import SIZE_LIMIT, NarInfo, parse_narinfo
from app.builder.nix.closure import STORE
from app.errors import OperatorError
from app.system.blocking import blocking
from app.system.web_address import is_web_address


class NotABinaryCache(OperatorError):
    """The message is one line with the location and the reason."""


class BinaryCache(Protocol):
    """A source of narinfos, which threads share."""

    location: str

    @blocking
    def narinfo(self, hash_part: str) -> NarInfo | None:
        """Return None if the cache does not have the path.

        Raises NarInfoInvalid, FetchFailed, FetchStopped.
        """

    @blocking
    def close(self) -> None:
        """Close what this thread has opened."""


@blocking
def open_cache(location: str, stop: threading.Event) -> "HttpCache | DirectoryCache":
    """Open the cache at an http, https or file URL, or in a directory.

    Raises NotABinaryCache, FetchFailed, FetchStopped.
    """
    cache: HttpCache | DirectoryCache
    if location.startswith(("http://", "https://")):
        if not is_web_address(location):
            raise NotABinaryCache(f"{shown(location)}: the address is invalid")
        cache = HttpCache(location, Fetcher(stop))
    else:
        is_url = location.startswith("file://")
        cache = DirectoryCache(Path(unquote(urlsplit(location).path) if is_url else location))
    try:
        information = cache.read("nix-cache-info")
    finally:
        cache.close()
    if information is None:
        raise NotABinaryCache(f"{cache.location} is not a binary cache: nix-cache-info is missing")
    store = _store_directory(information)
    if store != STORE:
        raise NotABinaryCache(f"{cache.location} is the cache of another store: {store}")
    return cache


class HttpCache:
    """A binary cache behind HTTP."""

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        self._url = url.rstrip("/")
        self._fetcher = fetcher
        self.location = shown(self._url)

    @blocking
    def read(self, name: str) -> bytes | None:
        """Return a file; None if the cache does not have it.  Raises FetchFailed, FetchStopped."""
        return self._fetcher.get(f"{self._url}/{name}", SIZE_LIMIT)

    def narinfo(self, hash_part: str) -> NarInfo | None:
        document = self.read(f"{hash_part}.narinfo")
        return None if document is None else parse_narinfo(document, hash_part)

    def close(self) -> None:
        self._fetcher.close()


class DirectoryCache:
    """A binary cache in a directory of this machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.location = str(directory)

    @blocking
    def read(self, name: str) -> bytes | None:
        """Return a file; None if the cache does not have it.  Raises FetchFailed."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FetchFailed(f"{self._directory / name}: {error.strerror}") from None

    def narinfo(self, hash_part: str) -> NarInfo | None:
        document = self.read(f"{hash_part}.narinfo")
        return None if document is None else parse_narinfo(document, hash_part)

    @blocking
    def hash_parts(self) -> tuple[str, ...]:
        """Return the hash parts of all paths in the cache, sorted."""
        return tuple(sorted(path.stem for path in self._directory.glob("*.narinfo")))

    def close(self) -> None:
        """Do nothing: each read closes its file."""


def _store_directory(information: bytes) -> str:
    for line in information.decode(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "StoreDir":
            return value.strip()
    return STORE

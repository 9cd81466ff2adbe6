"""The binary caches of a source, in the order of their priorities."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

from app.builder.nix.binary_cache.exchange import TransferFailed, shown
from app.builder.nix.binary_cache.narinfo import (
    SIZE_LIMIT,
    NarInfoInvalid,
    Substitute,
    parse_substitute,
)
from app.builder.nix.binary_cache.signatures import TrustedKeys
from app.builder.nix.closure import StorePath
from app.builder.nix.substitution.client import CacheClient
from app.builder.nix.substitution.decoding import SUPPORTED
from app.builder.nix.substitution.offer import Cache, Offer
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.web_address import is_web_address

# As in Nix, for a cache that does not declare one.
_PRIORITY = 50


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted keys; without ``required`` paths need no signature."""

    keys: TrustedKeys
    names: frozenset[str]
    required: bool = True


class CacheFault(Exception):
    """A cache failed, and no other has the path.  ``retry_after`` is the pause it requested."""

    def __init__(self, location: str, path: StorePath, error: Exception) -> None:
        super().__init__(str(error))
        self.location = location
        self.path = path
        # An invalid narinfo comes from a proxy or a login page.
        self.transient = error.transient if isinstance(error, TransferFailed) else True
        self.retry_after = error.retry_after if isinstance(error, TransferFailed) else None


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A path that a cache has without a trusted signature; ``keys`` are those that signed it."""

    location: str
    path: StorePath
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A path whose archive only Nix can decompress."""

    path: StorePath


@dataclass(frozen=True, slots=True)
class CacheResponse:
    """What the caches have of one path.  ``present`` are references that this machine has."""

    offer: Offer | None = None
    unsigned: Unsigned | None = None
    unsupported: Unsupported | None = None
    present: frozenset[StorePath] = frozenset()


@dataclass(slots=True)
class Caches:
    """The binary caches of one source, for one image.

    ``known`` has the priorities of caches that were read before, for all sources.  A cache that
    does not respond, or does not send an archive, is queried last from then on: each attempt may
    take as long as the first.
    """

    urls: Sequence[str]
    client: CacheClient
    trust: Trust
    known: dict[str, int] = field(default_factory=dict)
    _order: list[Cache] | None = field(default=None, init=False)
    _failing: set[str] = field(default_factory=set, init=False)

    async def find(self, path: StorePath) -> CacheResponse:
        """Query the caches in their order.  Raises CacheFault."""
        caches = await self._ordered()
        return await self.client.query(partial(self._query, caches, path))

    async def _ordered(self) -> list[Cache]:
        if self._order is None:
            if len(self.urls) == 1:
                # No priority to compare: one request less before the first narinfo.
                self._order = [_parse(self.urls[0])]
                return self._order
            caches = await gather(map(self._opened, self.urls))
            order = sorted(caches, key=lambda cache: cache.priority)
            if any(self._is_unknown(url) for url in self.urls):
                return order
            self._order = order
        return self._order

    def _is_unknown(self, url: str) -> bool:
        return _stated_priority(url) is None and _parse(url).url not in self.known

    async def _opened(self, url: str) -> Cache:
        cache = _parse(url)
        priority = _stated_priority(url)
        if priority is None:
            if cache.url not in self.known:
                found = await self.client.query(partial(self._read_priority, cache))
                if found is None:  # it fails, which the query of a path will report
                    return cache
                self.known[cache.url] = found
            priority = self.known[cache.url]
        return replace(cache, priority=priority)

    async def _read_priority(self, cache: Cache) -> int | None:
        try:
            document = await self.client.get(f"{cache.url}/nix-cache-info", SIZE_LIMIT)
        except TransferFailed:
            return None
        lines = (document or b"").decode(errors="replace").splitlines()
        fields = {
            name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        priority = fields.get("Priority", "")
        return int(priority) if priority.isdecimal() and len(priority) < 10 else _PRIORITY

    async def _query(self, caches: Sequence[Cache], path: StorePath) -> CacheResponse:
        faults: list[CacheFault] = []
        unsigned: Unsigned | None = None
        unsupported: Unsupported | None = None
        ordered = sorted(caches, key=lambda cache: self.is_failing(cache.location))
        for position, cache in enumerate(ordered):
            try:
                substitute = await self.narinfo(cache, path)
            except (TransferFailed, NarInfoInvalid) as error:
                faults.append(CacheFault(cache.location, path, error))
                continue
            if substitute is None:
                continue
            if not self._is_trusted(cache, substitute):
                unsigned = unsigned or Unsigned(cache.location, path, substitute.signers)
            elif substitute.compression not in SUPPORTED:
                unsupported = Unsupported(path)
            else:
                offer = _offer(cache, substitute, ordered[position + 1 :])
                return CacheResponse(offer=offer, present=_present(substitute.references))
        if faults:
            raise faults[0]
        return CacheResponse(unsigned=unsigned, unsupported=unsupported)

    def offers(self, first: Offer) -> "Offers":
        return Offers(self, first)

    async def narinfo(self, cache: Cache, path: StorePath) -> Substitute | None:
        """Query one cache, in the client's thread.  Raises TransferFailed, NarInfoInvalid."""
        try:
            document = await self.client.get(f"{cache.url}/{path.hash_part}.narinfo", SIZE_LIMIT)
        except TransferFailed as error:
            if error.transient and not error.status:
                self.note_failure(cache.location)
            raise
        return None if document is None else parse_substitute(document, path)

    def note_failure(self, location: str) -> None:
        """Query the cache after all others from now on; in the client's thread."""
        self._failing.add(location)

    def is_failing(self, location: str) -> bool:
        return location in self._failing

    def _is_trusted(self, cache: Cache, substitute: Substitute) -> bool:
        if cache.trusted or not self.trust.required:
            return True
        return substitute.is_trusted(self.trust.keys)


class Offers:
    """An offer, and then those of later caches for the same archive.

    If the cache of the first one has failed since, its offer is the last one.
    """

    def __init__(self, caches: Caches, first: Offer) -> None:
        self._caches = caches
        self._first = first
        self._is_used = False
        self._others = list(first.others)

    async def next(self) -> Offer | None:
        """Return the next one, in the client's thread; None at the end."""
        if not (self._is_used or self._caches.is_failing(self._first.location)):
            return self._use_first()
        wanted = self._first.substitute
        while self._others:
            cache = self._others.pop(0)
            try:
                substitute = await self._caches.narinfo(cache, wanted.path)
            except (TransferFailed, NarInfoInvalid):
                continue
            if substitute is not None and _is_same(substitute, wanted):
                return _offer(cache, substitute, self._others)
        return None if self._is_used else self._use_first()

    def note_failure(self, offer: Offer) -> None:
        """Note that retries did not help, in the client's thread."""
        self._caches.note_failure(offer.location)

    def _use_first(self) -> Offer:
        self._is_used = True
        # What was tried before is not offered by it again.
        return replace(self._first, others=tuple(self._others))


def can_stream(urls: Sequence[str]) -> bool:
    """Return whether all caches are reached by HTTP; Nix itself reads other stores."""
    return all(map(is_web_address, urls))


def _parse(url: str) -> Cache:
    """Parse a URL of a store, whose query has settings of Nix."""
    parts = urlsplit(url)
    settings = parse_qs(parts.query)
    plain = urlunsplit(parts._replace(query="", fragment="")).rstrip("/")
    trusted = settings.get("trusted", ["false"])[-1] in {"1", "true"}
    return Cache(plain, shown(plain), trusted, _PRIORITY)


def _stated_priority(url: str) -> int | None:
    stated = parse_qs(urlsplit(url).query).get("priority", [""])[-1]
    return int(stated) if stated.isdecimal() and len(stated) < 10 else None


def _offer(cache: Cache, substitute: Substitute, others: list[Cache]) -> Offer:
    url = urljoin(f"{cache.url}/", substitute.url)
    return Offer(cache.location, url, substitute, tuple(others))


def _is_same(one: Substitute, other: Substitute) -> bool:
    """Return whether both describe the same archive, whatever its compression."""
    return (
        one.nar_hash == other.nar_hash
        and one.nar_size == other.nar_size
        and one.compression in SUPPORTED
    )


@blocking
def present(paths: Collection[StorePath]) -> frozenset[StorePath]:
    """Return the paths that have files on this machine."""
    return _present(paths)


def _present(paths: Collection[StorePath]) -> frozenset[StorePath]:
    return frozenset(path for path in paths if os.path.lexists(str(path)))

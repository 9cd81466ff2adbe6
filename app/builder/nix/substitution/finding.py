"""The closure of paths that the local store lacks, from the narinfos of binary caches."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.builder.nix.closure import StorePath
from app.builder.nix.substitution.caches import CacheFault, CacheResponse, Unsigned
from app.builder.nix.substitution.offer import Offer
from app.errors import DownloadFailed
from app.system.blocking import blocking
from app.system.retrying import Retries, retry

# Nixpkgs has closures of some thousand paths.
_MOST_PATHS = 100_000
# Queries that begin in one turn of the event loop: one takes about 50 microseconds.
_AT_ONCE = 16

Find = Callable[[StorePath], Awaitable[CacheResponse]]


@dataclass(slots=True)
class Found:
    """The members of a closure, by where they are.

    ``offers`` are the paths to download, and ``local`` those that this machine has.  ``missing``
    paths are in no cache, and ``unsupported`` ones only Nix can download.
    """

    offers: dict[StorePath, Offer] = field(default_factory=dict)
    local: set[StorePath] = field(default_factory=set)
    missing: set[StorePath] = field(default_factory=set)
    unsigned: list[Unsigned] = field(default_factory=list)
    unsupported: set[StorePath] = field(default_factory=set)

    def references(self, path: StorePath) -> Iterable[StorePath]:
        offer = self.offers.get(path)
        return () if offer is None else offer.substitute.references

    def reachable(self, path: StorePath) -> Iterator[StorePath]:
        """Yield the path and all that it refers to, as far as it is known."""
        seen, waiting = {path}, [path]
        while waiting:
            here = waiting.pop()
            yield here
            new = set(self.references(here)) - seen
            seen |= new
            waiting += new

    @blocking
    def lacking(self, paths: Iterable[StorePath]) -> dict[StorePath, frozenset[StorePath]]:
        """Return the paths that cannot be downloaded completely, each with what is missing."""
        missing = self.missing | self.unsupported
        if not missing:
            return {}
        found = {path: missing.intersection(self.reachable(path)) for path in paths}
        return {path: frozenset(lacks) for path, lacks in found.items() if lacks}

    def without(self, roots: Iterable[StorePath], lacking: Collection[StorePath]) -> "Found":
        """Return what the other roots need."""
        kept: set[StorePath] = set()
        for root in roots:
            if root not in lacking:
                kept.update(self.reachable(root))
        return Found(
            offers={path: offer for path, offer in self.offers.items() if path in kept},
            local=self.local & kept,
        )


def _ignore(_: object) -> None:
    pass


class ClosureFinder:
    """Follows references from narinfo to narinfo.

    ``on_line`` receives a line for each retry, and ``on_offer`` each offer when it is found.
    """

    def __init__(
        self,
        find: Find,
        *,
        retries: Retries,
        on_line: Callable[[str], None] = _ignore,
        on_offer: Callable[[Offer], None] = _ignore,
    ) -> None:
        self._find = find
        self._retries = retries
        self._on_line = on_line
        self._on_offer = on_offer
        self._reported: set[str] = set()

    async def find(self, roots: Iterable[StorePath], *, absent: Collection[StorePath]) -> Found:
        """Query the roots and all that they refer to, side by side.

        ``absent`` are paths that this machine does not have, although a file is at their place.
        Raises DownloadFailed.
        """
        found = Found()
        seen = set(roots)
        try:
            async with asyncio.TaskGroup() as group:

                async def visit(path: StorePath) -> None:
                    response = await self._query(path)
                    _note(found, path, response)
                    if response.offer is None:
                        return
                    self._on_offer(response.offer)
                    found.local |= response.present - set(absent)
                    new = set(response.offer.substitute.references) - seen - found.local
                    seen.update(new)
                    if len(seen) > _MOST_PATHS:
                        raise DownloadFailed(
                            f"{path} refers to more than {_MOST_PATHS:,} store paths",
                            host=response.offer.location,
                            path=str(path),
                        )
                    await begin(new)

                async def begin(paths: Iterable[StorePath]) -> None:
                    for number, path in enumerate(paths, 1):
                        group.create_task(visit(path))
                        if number % _AT_ONCE == 0:
                            await asyncio.sleep(0)

                await begin(tuple(seen))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return found

    async def _query(self, path: StorePath) -> CacheResponse:
        async def find() -> CacheResponse:
            try:
                return await self._find(path)
            except CacheFault as error:
                if error.transient:
                    raise
                raise _failed(error) from None

        try:
            return await retry(
                find,
                retries=self._retries,
                transient=CacheFault,
                on_retry=self._report,
                requested=lambda error: error.retry_after,
            )
        except CacheFault as error:
            raise _failed(error) from None

    def _report(self, error: CacheFault, pause: float) -> None:
        """Write one line for each pause: a cache that is down fails for many paths at once."""
        line = f"another attempt follows in {pause:g} s"
        if line not in self._reported:
            self._reported.add(line)
            self._on_line(f"{_failed(error).message}; {line}")


def offered(found: Found) -> Mapping[str, tuple[int, int]]:
    """Return how many paths and bytes come from each cache."""
    totals: dict[str, tuple[int, int]] = {}
    for offer in found.offers.values():
        count, size = totals.get(offer.location, (0, 0))
        totals[offer.location] = (count + 1, size + offer.size)
    return totals


def _failed(error: CacheFault) -> DownloadFailed:
    message = f"{error.location} failed to send {error.path}: {error}"
    return DownloadFailed(message, host=error.location, path=str(error.path))


def _note(found: Found, path: StorePath, response: CacheResponse) -> None:
    if response.offer is not None:
        found.offers[path] = response.offer
    elif response.unsupported is not None:
        found.unsupported.add(path)
    else:
        found.missing.add(path)
        if response.unsigned is not None:
            found.unsigned.append(response.unsigned)

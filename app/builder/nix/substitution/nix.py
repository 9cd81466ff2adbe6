"""Realise packages without Nix where binary caches have them: these never enter Nix's store.

Nix builds what no cache has.  Paths that this machine has are read from its store.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from loguru import logger

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.door import NixRealiser, RealiseOptions
from app.builder.nix.preview import CachedPath, StorePreview
from app.builder.nix.results import Found
from app.builder.nix.roots import TemporaryRoots
from app.builder.nix.substitution.caches import Caches, Trust, can_stream, present
from app.builder.nix.substitution.client import CacheClient
from app.builder.nix.substitution.finding import ClosureFinder, offered
from app.builder.nix.substitution.finding import Found as FoundPaths
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.refusing import ignored_signature, not_cached
from app.builder.nix.substitution.registry import Remote, RemotePaths
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.errors import StoreUnavailable
from app.system.retrying import Retries
from app.system.workers import Workers
from app.text.size import MIB

# A garbage collection may delete local paths between the walk and their roots.
_WALKS = 4
# Threads that look for files, or search closures.
_LOOKS = 4

_Keep = Callable[[Sequence[StorePath]], Awaitable[frozenset[StorePath]]]


class NixStore(NixRealiser, Protocol):
    """Nix's store, with what is needed to use it without realising anything."""

    async def check_outputs(self, packages: Sequence[Found]) -> None:
        """Raise BuildFailed if a path is not that of its derivation's output."""

    async def require_derivations(self, packages: Sequence[Found], options: RealiseOptions) -> None:
        """Raise DerivationsMissing if ``realise`` would."""

    async def keep(self, paths: Sequence[StorePath], roots: TemporaryRoots) -> frozenset[StorePath]:
        """Return the paths that are valid, which the roots keep.  Raises StoreUnavailable."""

    async def valid_paths(self, paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """Return the paths that are valid now.  Raises StoreUnavailable."""

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """Return the closure of valid paths.  Raises StoreUnavailable."""


class SubstitutingRealiser:
    """A realiser that gives Nix only what must be built or downloaded by Nix.

    ``substituters`` are those of nix.conf; ``retries`` are for transient faults of caches.
    ``seconds`` is how long the downloads of one image may take, if its source allows more.
    """

    def __init__(
        self,
        *,
        nix: NixStore,
        client: CacheClient,
        trust: Trust,
        substituters: tuple[str, ...],
        remotes: RemotePaths,
        retries: Retries,
        seconds: float,
    ) -> None:
        self._nix = nix
        self._client = client
        self._trust = trust
        self._substituters = substituters
        self._remotes = remotes
        self._retries = retries
        self._seconds = seconds
        self._workers = Workers(_LOOKS)
        self._priorities: dict[str, int] = {}

    @asynccontextmanager
    async def temporary_roots(self) -> AsyncIterator[TemporaryRoots]:
        async with self._nix.temporary_roots() as roots:
            with self._remotes.job():
                yield roots

    async def realise(
        self,
        packages: Sequence[Found],
        options: RealiseOptions,
        *,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        caches, job = self._caches(options), self._remotes.current
        if caches is None or job is None:
            await self._nix.realise(packages, options, roots=roots, on_line=on_line)
            return
        await self._nix.check_outputs(packages)
        wanted = frozenset(package.path for package in packages)
        policy = RetryPolicy(
            retries=self._retries,
            seconds=min(options.seconds, self._seconds),
            on_retry=partial(_from_any_thread, asyncio.get_running_loop(), on_line),
        )

        def on_offer(offer: Offer) -> None:
            self._remotes.add(job, offer.substitute.path, Remote(offer, caches, policy))

        finder = ClosureFinder(
            caches.find, retries=self._retries, on_line=on_line, on_offer=on_offer
        )
        found, lacking = await self._find(
            wanted, finder, lambda paths: self._nix.keep(paths, roots)
        )
        if lacking and not options.build and not found.unsupported:
            if ignored := ignored_signature(found, lacking, self._trust):
                on_line(f"warning: {ignored}")
                logger.bind(source=options.source).warning("a binary cache is ignored: {}", ignored)
            raise not_cached(options.source, found, lacking, self._trust)
        to_realise = [package for package in packages if package.path in lacking]
        await self._nix.require_derivations(to_realise, options)
        for location, (count, size) in offered(found).items():
            on_line(f"{count} store paths ({size // MIB} MiB) come from {location}")
        if to_realise:
            await self._nix.realise(to_realise, options, roots=roots, on_line=on_line)

    def needs_derivations(self, options: RealiseOptions) -> bool:
        return self._caches(options) is None and self._nix.needs_derivations(options)

    async def preview(self, packages: Sequence[Found], options: RealiseOptions) -> StorePreview:
        caches = self._caches(options)
        if caches is None:
            return await self._nix.preview(packages, options)
        await self._nix.check_outputs(packages)
        wanted = frozenset(package.path for package in packages)
        finder = ClosureFinder(caches.find, retries=self._retries)
        found, lacking = await self._find(wanted, finder, self._nix.valid_paths)
        remotes = found.without(wanted, lacking)
        others = [one for one in packages if one.path not in remotes.offers]
        here = await self._nix.preview(others, options) if others else StorePreview()
        objects, local = _described(remotes), await self._nix.closure(sorted(remotes.local))
        return StorePreview(
            objects={**here.objects, **objects, **local.objects},
            local=here.local.union(local.paths),
            cached=here.cached
            | {
                path: CachedPath(offer.location, offer.size)
                for path, offer in remotes.offers.items()
            },
            builds=here.builds,
            unavailable=here.unavailable,
            unknown=here.unknown,
        )

    def _caches(self, options: RealiseOptions) -> Caches | None:
        """Return the caches; None if Nix has to query them, or if there are none."""
        urls = options.substituters
        urls = self._substituters if urls is None else urls
        if not urls or not can_stream(urls):
            return None
        return Caches(urls, self._client, self._trust, self._priorities)

    async def _find(
        self, wanted: frozenset[StorePath], finder: ClosureFinder, keep: _Keep
    ) -> tuple[FoundPaths, dict[StorePath, frozenset[StorePath]]]:
        """Return the paths to download, and the wanted ones that Nix has to realise.

        ``keep`` returns which local paths are valid.  Raises DownloadFailed, StoreUnavailable.
        """
        absent: set[StorePath] = set()
        kept: set[StorePath] = set()
        for _ in range(_WALKS):
            here = await self._workers.run(present, wanted - absent)
            found = await finder.find(wanted - here, absent=absent)
            local = (found.local | here) - kept
            valid = await keep(sorted(local))
            kept |= valid
            if valid == local:
                lacking = await self._workers.run(found.lacking, wanted - here)
                return found, lacking
            absent |= local - valid
        raise StoreUnavailable("the Nix store loses paths while they are looked up")


def _described(found: FoundPaths) -> dict[StorePath, StoreObject]:
    objects = {}
    for path, offer in found.offers.items():
        narinfo = offer.substitute
        others = tuple(sorted(set(narinfo.references) - {path}))
        objects[path] = StoreObject(path, narinfo.nar_size, others, narinfo.nar_hash.hex())
    return objects


def _from_any_thread(
    loop: asyncio.AbstractEventLoop, on_line: Callable[[str], None], line: str
) -> None:
    loop.call_soon_threadsafe(on_line, line)

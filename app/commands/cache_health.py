"""Checks of binary caches: whether they respond, whose signatures they have, and their clocks."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from app.builder.nix.binary_cache.exchange import TransferFailed, shown
from app.builder.nix.binary_cache.narinfo import SIZE_LIMIT
from app.builder.nix.closure import STORE, StorePath
from app.builder.nix.programs.cache_configuration import CacheConfiguration
from app.builder.nix.substitution.caches import CacheFault, Caches, Trust, can_stream
from app.builder.nix.substitution.client import CacheClient
from app.builder.sources.definition import SourceDefinition
from app.commands.findings import Finding, ok, problem, warning
from app.system.blocking import blocking
from app.system.concurrency import gather

_SAMPLE = 40
_CLOCK_SECONDS = 120
_KEY_ADVICE = (
    "add the cache's public key to trusted-public-keys in nix.conf (docs/binary-caches.md);"
    " until then the cache is not used"
)
_REACH_ADVICE = (
    "check the address, the proxy variables and the netrc file; or remove the cache from"
    " substituters in nix.conf"
)
_CLOCK_ADVICE = "set the clock, for example by an NTP service: certificates may count as invalid"


@dataclass(slots=True)
class CacheHealth:
    """Checks binary caches by requests for narinfos.

    ``store`` has paths of this machine, whose narinfos are requested.
    """

    client: CacheClient
    trust: Trust
    now: Callable[[], datetime]
    store: Sequence[StorePath]

    async def findings(self, urls: Iterable[str]) -> list[Finding]:
        """Return a finding for each cache, and one for the clock."""
        dates: list[datetime] = []
        found = [await self._cache(url, dates) for url in urls]
        return [*found, self._clock(dates)]

    async def _cache(self, url: str, dates: list[datetime]) -> Finding:
        place = shown(url)
        if not can_stream([url]):
            return ok("cache", f"{place}: not checked, because only Nix can open it")
        get = partial(self.client.get_dated, _information(url), SIZE_LIMIT)
        try:
            document, date = await self.client.query(get)
        except TransferFailed as error:
            return problem("cache", f"{place}: {error}", _REACH_ADVICE)
        with suppress(ValueError, TypeError):
            dates.append(parsedate_to_datetime(date).astimezone(UTC))
        if document is None:
            return problem("cache", f"{place}: nix-cache-info is missing", _REACH_ADVICE)
        try:
            return await self._signatures(url, place)
        except CacheFault as error:
            return problem("cache", f"{place}: {error}", _REACH_ADVICE)

    async def _signatures(self, url: str, place: str) -> Finding:
        """Look for paths of this machine in the cache.  Raises CacheFault."""
        caches = Caches([url], self.client, self.trust)
        responses = await gather(caches.find(path) for path in self.store)
        if any(one.offer for one in responses):
            return ok("cache", f"{place}: responds, and its signatures are trusted")
        unsigned = next((one.unsigned for one in responses if one.unsigned), None)
        if unsigned is not None:
            keys = ", ".join(unsigned.keys) or "no key"
            return problem("cache", f"{place}: signed by {keys}, which is not trusted", _KEY_ADVICE)
        if self.trust.required and not self.trust.names:
            return problem("cache", f"{place}: no key is trusted", _KEY_ADVICE)
        return ok(
            "cache",
            f"{place}: responds; its key was not compared, because it has none of"
            f" {len(self.store)} paths of this machine",
        )

    def _clock(self, dates: Sequence[datetime]) -> Finding:
        if not dates:
            return ok("clock", "not compared, because no binary cache sent its time")
        now = self.now()
        seconds = min(((now - date).total_seconds() for date in dates), key=abs)
        if abs(seconds) <= _CLOCK_SECONDS:
            return ok("clock", f"within {_CLOCK_SECONDS // 60} minutes of a binary cache's clock")
        side = "ahead of" if seconds > 0 else "behind"
        return warning(
            "clock", f"{abs(seconds) / 60:.0f} minutes {side} the binary caches", _CLOCK_ADVICE
        )


def _information(url: str) -> str:
    """Return the URL of a cache's nix-cache-info; the query has settings of Nix."""
    plain = urlunsplit(urlsplit(url)._replace(query="", fragment="")).rstrip("/")
    return f"{plain}/nix-cache-info"


def caches_of(
    definitions: Iterable[SourceDefinition], configuration: CacheConfiguration
) -> tuple[str, ...]:
    """Return the binary caches that the sources use, each once."""
    own = configuration.substituters if configuration.substitute else ()
    lists = [
        own if definition.substituters is None else definition.substituters
        for definition in definitions
    ]
    return tuple(dict.fromkeys(url for urls in lists for url in urls))


@blocking
def sample_paths(directory: str = STORE) -> tuple[StorePath, ...]:
    """Return some paths of the store that a cache may have; none if the store does not exist."""
    found: list[StorePath] = []
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith((".drv", ".lock")):
                continue
            with suppress(ValueError):
                found.append(StorePath.parse(f"{STORE}/{entry.name}"))
            if len(found) == _SAMPLE:
                break
    return tuple(found)

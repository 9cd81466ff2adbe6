"""The downloads of a realisation: those that run, faults, and ignored signatures.

Parses messages of Nix 2.8 to 2.34, without terminal codes.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

_KEPT = 1000
_UNABLE = re.compile(r"unable to download '([^']+)': (.*)")
_RETRYING = re.compile(r"; retrying in .*$")
_NO_FILE = re.compile(r"file '([^']+)' does not exist in binary cache '([^']+)'")
_NO_CACHE = re.compile(r"'([^']+)' does not appear to be a binary cache")
# At the start of a message: one about a remote builder has such an error after its own text.
_BEGINNING = r"(?:(?:error|warning)(?: \(ignored\))?: )*"
_NO_STORE = re.compile(
    _BEGINNING
    + r"(?P<reason>cannot open connection to remote store|opening a connection to remote store"
    r"|don't know how to open Nix store) '(?P<store>[^'?]+)[^']*'"
)
_NO_SCHEME = re.compile(_BEGINNING + r"don't know how to open Nix store with scheme '([^']+)'")
_NO_HOST = re.compile(
    _BEGINNING + r"(?:cannot connect|failed to start SSH connection) to '([^']+)'"
)
_UNSIGNED = re.compile(r"substitute for '(/nix/store/[^']+)' from '([^']+)',? .*signed by")
_LACKS_SIGNATURE = re.compile(r"'(/nix/store/[^']+)'.* lacks a (?:valid )?signature")
_OF_CACHE = re.compile(
    r"(.+?)/(?:nix-cache-info|([0-9a-z]{32})\.(?:narinfo|ls)|nar/.+|(?:realisations|build-trace)\S*/.+)"
)
_REASON = "the download is incomplete"
_NO_CONNECTION = "Nix cannot connect to it"
_NO_SUPPORT = "this Nix cannot open stores of its kind"
_REASONS = {
    "cannot open connection to remote store": _NO_CONNECTION,
    "opening a connection to remote store": _NO_CONNECTION,
    "don't know how to open Nix store": _NO_SUPPORT,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed download, and the cache that is the cause.

    ``path`` is the wanted store path, or its hash, or "" if the message has neither.
    """

    cache: str
    path: str
    reason: str


class Fetches:
    """The state of the downloads of one realisation."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, str]] = {}
        self._caches: dict[str, str] = {}  # by store path
        self._failed: dict[str, str] = {}  # the reason, by URL
        self._retried: dict[str, str] = {}
        self._unsigned: dict[str, str] = {}
        self._of_builders: dict[str, str] = {}

    def start(self, activity: int, path: str, cache: str) -> None:
        self._running[activity] = path, cache
        self._caches[path] = cache

    def stop(self, activity: int) -> None:
        self._running.pop(activity, None)

    def note(self, message: str) -> None:
        """Parse a warning or an error."""
        if found := _UNABLE.search(message):
            reason, retrying = _RETRYING.subn("", found[2])
            _keep(self._retried if retrying else self._failed, found[1], reason)
        elif found := _NO_FILE.search(message):
            _keep(self._failed, f"{found[2]}/{found[1]}", "HTTP error 404")
        elif found := _NO_CACHE.search(message):
            reason = "it does not appear to be a binary cache"
            _keep(self._failed, f"{found[1]}/nix-cache-info", reason)
        elif found := _NO_STORE.match(message):
            _keep(self._failed, f"{found['store']}/nix-cache-info", _REASONS[found["reason"]])
        elif found := _NO_SCHEME.match(message):
            _keep(self._failed, f"{found[1]}:///nix-cache-info", _NO_SUPPORT)
        elif found := _NO_HOST.fullmatch(message):
            _keep(self._failed, f"ssh://{found[1]}/nix-cache-info", _NO_CONNECTION)
        elif found := _UNSIGNED.search(message):
            _keep(self._unsigned, found[1], found[2])
        elif (found := _LACKS_SIGNATURE.search(message)) and found[1] in self._caches:
            _keep(self._unsigned, found[1], self._caches[found[1]])

    def note_of_builder(self, message: str) -> None:
        """Parse a warning or an error that a builder may have written."""
        found = _UNABLE.search(message)
        if found and not _RETRYING.search(found[2]):
            _keep(self._of_builders, found[1], found[2])

    @property
    def running(self) -> tuple[tuple[str, str], ...]:
        """The store paths that are being fetched, each with its cache."""
        return tuple(self._running.values())

    @property
    def started(self) -> tuple[str, ...]:
        """All store paths whose download was started."""
        return tuple(self._caches)

    @property
    def unsigned(self) -> dict[str, str]:
        """The cache of each store path that Nix ignored because its signature is not trusted."""
        return dict(self._unsigned)

    def faults(self, missing: Collection[str]) -> list[Fault]:
        """Return the faults that explain ``missing``, the store paths not in the store now."""
        found = [
            Fault(cache, path, self._reason(cache))
            for path, cache in self._caches.items()
            if path in missing and path not in self._unsigned
        ]
        named = {fault.cache for fault in found}
        for url, reason in self._failed.items():
            of_cache = _OF_CACHE.fullmatch(url)
            if of_cache and of_cache[1] not in named:
                found.append(Fault(of_cache[1], of_cache[2] or "", reason))
        return found

    @property
    def other_failures(self) -> list[tuple[str, str]]:
        """Failed downloads of builders: the URL and the reason of each."""
        failed = {**self._failed, **self._of_builders}
        return [item for item in failed.items() if not _OF_CACHE.fullmatch(item[0])]

    def _reason(self, cache: str) -> str:
        for failures in (self._failed, self._retried):
            for url, reason in failures.items():
                if url.startswith(f"{cache}/"):
                    return reason
        return _REASON


def _keep(notes: dict[str, str], key: str, value: str) -> None:
    if len(notes) < _KEPT or key in notes:
        notes[key] = value

"""Read the narinfos of many store paths concurrently, and resume an interrupted reading."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from app.builder.nix.binary_cache.cache import BinaryCache
from app.builder.nix.binary_cache.fetch import FetchFailed, FetchStopped
from app.builder.nix.binary_cache.known import KnownNarInfos
from app.builder.nix.binary_cache.narinfo import NarInfo, NarInfoInvalid
from app.builder.nix.closure import Closure, StoreObject
from app.system.blocking import blocking_class
from app.system.thread_pool import no_thread

# Concurrent requests, enough to hide the latency.  Nix itself opens 25 connections.
CONNECTIONS = 64
BATCH = 2000
# After this many failures in a row the cache is considered down.
FAILURES = 20


@dataclass(slots=True)
class Tally:
    """Counts of store paths.  ``known`` were read before, ``missing`` are not in the cache."""

    wanted: int = 0
    known: int = 0
    read: int = 0
    missing: int = 0
    failed: int = 0
    problem: str = ""

    @property
    def done(self) -> int:
        return self.known + self.read + self.missing + self.failed


@blocking_class
class NarInfoReader:
    """Reads narinfos by several threads.

    ``report`` is called after every path.
    """

    def __init__(
        self,
        *,
        cache: BinaryCache,
        known: KnownNarInfos | None,
        stop: threading.Event,
        report: Callable[[Tally], None],
    ) -> None:
        self.tally = Tally()
        self._cache = cache
        self._known = known
        self._stop = stop
        self._report = report
        self._failures = 0

    def read(self, hash_parts: Iterable[str]) -> Mapping[str, NarInfo]:
        """Return the narinfos that the cache has, by hash part.

        Raises FetchFailed or NarInfoInvalid when nothing more can be read.  Narinfos read before
        an error or Ctrl-C are kept for the next run.
        """
        wanted = sorted(set(hash_parts))
        found = dict(self._known.read(wanted)) if self._known else {}
        self.tally.wanted += len(wanted)
        self.tally.known += len(found)
        self._report(self.tally)
        fresh: list[NarInfo] = []
        try:
            for outcome in self._fetch([part for part in wanted if part not in found]):
                narinfo = self._checked(outcome)
                self._report(self.tally)
                if narinfo is not None:
                    found[narinfo.path.hash_part] = narinfo
                    fresh.append(narinfo)
                if len(fresh) == BATCH:
                    self._keep(fresh)
        finally:
            self._keep(fresh)
        return found

    def read_closure(self, hash_parts: Iterable[str]) -> Closure:
        """Return the closure of the paths, without references that the cache does not have."""
        found: dict[str, NarInfo] = {}
        queried: set[str] = set()
        wanted = set(hash_parts)
        while wanted:
            queried |= wanted
            new = self.read(wanted)
            found.update(new)
            wanted = {r.hash_part for n in new.values() for r in n.references} - queried
        there = {narinfo.path for narinfo in found.values()}
        return Closure(
            StoreObject(n.path, n.nar_size, tuple(sorted((there & set(n.references)) - {n.path})))
            for n in found.values()
        )

    def _checked(self, outcome: NarInfo | Exception | None) -> NarInfo | None:
        match outcome:
            case NarInfo():
                self._failures = 0
                self.tally.read += 1
                return outcome
            case None:
                self._failures = 0
                self.tally.missing += 1
            case FetchFailed() | NarInfoInvalid():
                self._failures += 1
                self.tally.failed += 1
                self.tally.problem = str(outcome)
                if self._failures == FAILURES:
                    raise outcome
            case _:
                raise outcome
        return None

    def _keep(self, fresh: list[NarInfo]) -> None:
        if self._known:
            self._known.write(fresh)
        fresh.clear()

    def _fetch(self, hash_parts: Sequence[str]) -> Iterator[NarInfo | Exception | None]:
        """Yield the results in the order of the responses."""
        todo = iter(hash_parts)
        taking = threading.Lock()
        outcomes: SimpleQueue[NarInfo | Exception | _Gone | None] = SimpleQueue()

        def work() -> None:
            while not self._stop.is_set():
                with taking:
                    hash_part = next(todo, None)
                if hash_part is None:
                    break
                try:
                    outcomes.put(self._cache.narinfo(hash_part))
                except Exception as error:  # noqa: BLE001  raised where the outcomes are read
                    outcomes.put(error)
            self._cache.close()
            outcomes.put(_Gone())

        working = _started(work, min(CONNECTIONS, len(hash_parts)))
        try:
            while working:
                match outcomes.get():
                    case _Gone():
                        working -= 1
                    case outcome:
                        yield outcome
        finally:
            if working:
                self._stop.set()
        if self._stop.is_set():
            raise FetchStopped


def _started(work: Callable[[], None], count: int) -> int:
    """Return how many threads were started: as many as the system allows.  Raise Unavailable."""
    for started in range(count):
        try:
            # Daemon threads: a stopping process does not wait for the network.
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:
            if not started:
                raise no_thread() from None
            return started
    return count


class _Gone:
    """A thread has ended."""

"""Evaluate each name once per revision, system and policy.

A revision never changes, and neither do the results for its names.  An image of known names is made
without starting Nix.

Clients may request any name, so storage gets a bounded number of results: those of names that the
package set lists, and packages at most one set below its top.  Other results are cached in memory;
errors only while they are valid.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from app.builder.evaluation.recent_failures import RecentFailures
from app.builder.nix.results import (
    EVALUATION_RESULT,
    EvaluationResult,
    Failed,
    Found,
    NotFound,
    Validity,
)
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.cache import RememberedRecords
from app.storage.records.kind import Kind
from app.system.cache import Cache
from app.system.concurrency import gather

# Raise the format when nix/answers.nix returns more, or something else, for the same package.
ATTRIBUTES = Kind(name="attributes", format=6, adapter=EVALUATION_RESULT)

# Results kept in memory only, mostly of some 500 bytes each.
_UNSTORED = 10_000

Evaluate = Callable[[Sequence[str]], Awaitable[Sequence[EvaluationResult]]]

Check = Callable[[dict[str, EvaluationResult]], object]


class EvaluationResultCache:
    """Results of evaluations, in memory and in storage."""

    def __init__(self, *, storage: Storage, failures: RecentFailures | None = None) -> None:
        self._stored = RememberedRecords(storage=storage, kind=ATTRIBUTES)
        self._unstored: Cache[Digest, EvaluationResult] = Cache(_UNSTORED)
        self._failures = failures or RecentFailures()
        # Not a SingleFlight: one evaluation has several keys, and its error belongs to its caller.
        self._running: dict[Digest, asyncio.Event] = {}

    async def results(
        self,
        subject: dict[str, object],
        names: Sequence[str],
        evaluate: Evaluate,
        check: Check = lambda _: None,
        *,
        is_listed: Callable[[str], bool],
        is_ruled_out: Callable[[str], bool] = lambda _: False,
    ) -> tuple[EvaluationResult, ...]:
        """Return the results in the order of the names.

        subject: everything that the results depend on, except the name.
        evaluate: called for all names without a cached result.  If it fails in another caller, the
            name is evaluated again.
        check: gets the cached results before ``evaluate`` is called, and may raise.
        is_listed: whether the revision is known to list the name.
        is_ruled_out: whether the revision is known to lack the name, which is then not evaluated.

        Raises the errors of ``evaluate`` and ``check``.
        """
        keys = {name: attribute_key(subject, name) for name in names}
        known = self._remembered(keys)
        while True:
            known |= await self._read({n: key for n, key in keys.items() if n not in known})
            known |= {n: NotFound() for n in keys if n not in known and is_ruled_out(n)}
            missing = {name: key for name, key in keys.items() if name not in known}
            if not missing:
                return tuple(known[name] for name in names)
            check(known)
            ours = {name: key for name, key in missing.items() if key not in self._running}
            if ours:
                known |= await self._evaluate(ours, evaluate, is_listed)
            for key in missing.values():
                if evaluated := self._running.get(key):
                    await evaluated.wait()

    async def cached(
        self, subject: dict[str, object], names: Sequence[str]
    ) -> tuple[EvaluationResult | None, ...]:
        """Return the cached result of each name, in their order; None without one."""
        keys = {name: attribute_key(subject, name) for name in names}
        found = await self._read(keys) | self._remembered(keys)
        return tuple(found.get(name) for name in names)

    def _remembered(self, keys: Mapping[str, Digest]) -> dict[str, EvaluationResult]:
        """Return the results in memory, by name."""
        found = {n: self._failures.get(key) or self._unstored.get(key) for n, key in keys.items()}
        return {name: result for name, result in found.items() if result is not None}

    async def _read(self, keys: Mapping[str, Digest]) -> dict[str, EvaluationResult]:
        """Return the stored results, by name."""
        read = await self._stored.read_each(tuple(keys.values()))
        return {name: one for name, one in zip(keys, read, strict=True) if one is not None}

    async def _evaluate(
        self, keys: dict[str, Digest], evaluate: Evaluate, is_listed: Callable[[str], bool]
    ) -> dict[str, EvaluationResult]:
        """Evaluate, and store or cache each result."""
        done = asyncio.Event()
        self._running.update(dict.fromkeys(keys.values(), done))
        try:
            found = dict(zip(keys, await evaluate(tuple(keys)), strict=True))
            await self._keep(keys, found, is_listed)
            return found
        finally:
            for key in keys.values():
                del self._running[key]
            done.set()

    async def correct(
        self,
        subject: dict[str, object],
        results: Mapping[str, EvaluationResult],
        *,
        is_listed: Callable[[str], bool],
    ) -> None:
        """Replace the cached results of these names."""
        keys = {name: attribute_key(subject, name) for name in results}
        await self._keep(keys, results, is_listed)

    async def _keep(
        self,
        keys: Mapping[str, Digest],
        found: Mapping[str, EvaluationResult],
        is_listed: Callable[[str], bool],
    ) -> None:
        """Store or cache each result."""
        stored = {}
        for name, result in found.items():
            if isinstance(result, Failed) and result.validity != Validity.ALWAYS:
                self._failures.add(keys[name], result)
            elif _is_storable(name, result, is_listed):
                stored[name] = result
            else:
                self._unstored[keys[name]] = result
        await gather(self._stored.write(keys[name], result) for name, result in stored.items())


def attribute_key(subject: dict[str, object], name: str) -> Digest:
    return ATTRIBUTES.key(subject=subject, name=name)


def _is_storable(name: str, result: EvaluationResult, is_listed: Callable[[str], bool]) -> bool:
    """Return whether the package set bounds the number of such names.

    A set may contain itself, so any number of names may lead to one package.
    """
    match result:
        case NotFound():
            return False
        case Found() if name.count(".") <= 1:
            return True
        case _:
            return is_listed(name)

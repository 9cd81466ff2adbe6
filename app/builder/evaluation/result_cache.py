"""Evaluate each name once per revision, system and policy.

A revision never changes, so neither does the result for a name, a package or an error.  An image of names seen before is put together without starting Nix.

Clients may request any name, so the package set bounds what is stored: the results of the names
that it lists, and the packages at most one set below its top.  Everything else is kept in
memory, within a bound; errors also only while they are valid.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

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
ATTRIBUTES = Kind(name="attributes", format=5, adapter=EVALUATION_RESULT)

# Results kept in memory only, mostly of some 500 bytes each.
_UNSTORED = 10_000

Evaluate = Callable[[Sequence[str]], Awaitable[Sequence[EvaluationResult]]]

Check = Callable[[dict[str, EvaluationResult]], object]


class EvaluationResultCache:
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

        ``evaluate`` is called once, for all names without a cached result.

        ``check`` gets the cached results before ``evaluate`` is called, and may raise.

        ``subject`` is everything that the results depend on, except the name.  ``is_listed`` returns
        whether a name is among those of the revision, as far as they are in memory; names that are
        ``is_ruled_out`` are not evaluated.  Raises what ``evaluate`` raises; an error of another caller's question is not ours, so the name is evaluated again.
        """
        keys = {name: attribute_key(subject, name) for name in names}
        recent = {
            name: self._failures.get(key) or self._unstored.get(key) for name, key in keys.items()
        }
        known_results: dict[str, EvaluationResult] = {
            n: result for n, result in recent.items() if result
        }
        while True:
            missing = [name for name in keys if name not in known_results]
            read = await self._stored.read_each([keys[name] for name in missing])
            known_results |= {
                n: known for n, known in zip(missing, read, strict=True) if known is not None
            }
            missing = [name for name in missing if name not in known_results]
            known_results |= {name: NotFound() for name in missing if is_ruled_out(name)}
            missing = [name for name in missing if name not in known_results]
            if not missing:
                return tuple(known_results[name] for name in names)
            check(known_results)
            ours = [name for name in missing if keys[name] not in self._running]
            if ours:
                known_results |= await self._evaluate(
                    {name: keys[name] for name in ours}, evaluate, is_listed
                )
            for name in missing:
                if asked := self._running.get(keys[name]):
                    await asked.wait()

    async def cached(
        self, subject: dict[str, object], names: Sequence[str]
    ) -> tuple[EvaluationResult | None, ...]:
        """Return what is remembered of each name, in their order; None if it is not known."""
        keys = [attribute_key(subject, name) for name in names]
        read = await self._stored.read_each(keys)
        return tuple(
            self._failures.get(key) or self._unstored.get(key) or known
            for key, known in zip(keys, read, strict=True)
        )

    async def _evaluate(
        self, keys: dict[str, Digest], evaluate: Evaluate, is_listed: Callable[[str], bool]
    ) -> dict[str, EvaluationResult]:
        """Evaluate, then store or remember what the results allow."""
        done = asyncio.Event()
        self._running.update(dict.fromkeys(keys.values(), done))
        try:
            found = dict(zip(keys, await evaluate(tuple(keys)), strict=True))
            stored = {}
            for name, result in found.items():
                if isinstance(result, Failed) and result.validity != Validity.ALWAYS:
                    self._failures.add(keys[name], result)
                elif _is_storable(name, result, is_listed):
                    stored[name] = result
                else:
                    self._unstored[keys[name]] = result
            await gather(self._stored.write(keys[name], result) for name, result in stored.items())
            return found
        finally:
            for key in keys.values():
                del self._running[key]
            done.set()


def attribute_key(subject: dict[str, object], name: str) -> Digest:
    return ATTRIBUTES.key(subject=subject, name=name)


def _is_storable(name: str, result: EvaluationResult, is_listed: Callable[[str], bool]) -> bool:
    """Return whether the package set bounds the number of such names.

    A set may hold itself, so any number of names may lead to one package.
    """
    match result:
        case NotFound():
            return False
        case Found() if name.count(".") <= 1:
            return True
        case _:
            return is_listed(name)

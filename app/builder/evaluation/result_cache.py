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
ATTRIBUTES = Kind(name="attributes", format=4, adapter=EVALUATION_RESULT)

# Answers kept in memory only, of at most some 500 bytes each.
_UNSTORED = 10_000

Ask = Callable[[Sequence[str]], Awaitable[Sequence[EvaluationResult]]]

Check = Callable[[dict[str, EvaluationResult]], object]


class EvaluationResultCache:
    def __init__(self, *, storage: Storage, failures: RecentFailures | None = None) -> None:
        self._known = RememberedRecords(storage=storage, kind=ATTRIBUTES)
        self._unstored: Cache[Digest, EvaluationResult] = Cache(_UNSTORED)
        self._failures = failures or RecentFailures()
        self._asked: dict[Digest, asyncio.Event] = {}

    async def answers(
        self,
        subject: dict[str, object],
        names: Sequence[str],
        ask: Ask,
        check: Check = lambda _: None,
        *,
        is_listed: Callable[[str], bool],
    ) -> tuple[EvaluationResult, ...]:
        """Return the results in the order of the names; ``ask`` is called once, for all new ones.

        ``check`` gets the cached results before ``ask`` is called, and may raise.

        ``subject`` is everything that the results depend on, except the name.  ``is_listed`` returns
        whether a name is among those of the revision, as far as they are in memory.  Raises what
        ``ask`` raises; an error of another caller's question is not ours, so it is asked again.
        """
        keys = {name: attribute_key(subject, name) for name in names}
        recent = {
            name: self._failures.get(key) or self._unstored.get(key) for name, key in keys.items()
        }
        known_results: dict[str, EvaluationResult] = {
            n: answer for n, answer in recent.items() if answer
        }
        while True:
            missing = [name for name in keys if name not in known_results]
            read = await self._known.read_each([keys[name] for name in missing])
            known_results |= {
                n: known for n, known in zip(missing, read, strict=True) if known is not None
            }
            missing = [name for name in missing if name not in known_results]
            if not missing:
                return tuple(known_results[name] for name in names)
            check(known_results)
            ours = [name for name in missing if keys[name] not in self._asked]
            if ours:
                known_results |= await self._ask(
                    {name: keys[name] for name in ours}, ask, is_listed
                )
            for name in missing:
                if asked := self._asked.get(keys[name]):
                    await asked.wait()

    async def known(
        self, subject: dict[str, object], names: Sequence[str]
    ) -> tuple[EvaluationResult | None, ...]:
        """Return what is remembered of each name, in their order; None if it is not known."""
        keys = [attribute_key(subject, name) for name in names]
        read = await self._known.read_each(keys)
        return tuple(
            self._failures.get(key) or self._unstored.get(key) or known
            for key, known in zip(keys, read, strict=True)
        )

    async def _ask(
        self, keys: dict[str, Digest], ask: Ask, is_listed: Callable[[str], bool]
    ) -> dict[str, EvaluationResult]:
        """Evaluate, then store or remember what the answers allow."""
        done = asyncio.Event()
        self._asked.update(dict.fromkeys(keys.values(), done))
        try:
            found = dict(zip(keys, await ask(tuple(keys)), strict=True))
            stored = {}
            for name, answer in found.items():
                if isinstance(answer, Failed) and answer.validity != Validity.ALWAYS:
                    self._failures.add(keys[name], answer)
                elif _is_storable(name, answer, is_listed):
                    stored[name] = answer
                else:
                    self._unstored[keys[name]] = answer
            await gather(self._known.write(keys[name], answer) for name, answer in stored.items())
            return found
        finally:
            for key in keys.values():
                del self._asked[key]
            done.set()


def attribute_key(subject: dict[str, object], name: str) -> Digest:
    return ATTRIBUTES.key(subject=subject, name=name)


def _is_storable(name: str, answer: EvaluationResult, is_listed: Callable[[str], bool]) -> bool:
    """Return whether the package set bounds the number of such names.

    A set may hold itself, so any number of names may lead to one package.
    """
    match answer:
        case NotFound():
            return False
        case Found() if name.count(".") <= 1:
            return True
        case _:
            return is_listed(name)

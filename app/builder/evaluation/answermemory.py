"""Evaluate each name once per revision, system and policy.

A revision never changes, so neither does what its package set says of a name, be it good
or bad.  An image of names seen before is put together without starting Nix.  Packages and errors
that are known to be lasting are stored; other errors are kept in memory, for as long as their
validity says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from app.builder.answers import ANSWER, Answer, Raised, Validity
from app.builder.evaluation.recentfailures import RecentFailures
from app.builder.records.kind import Kind
from app.builder.records.remembered import RememberedRecords
from app.builder.running.concurrency import gather
from app.oci import Digest
from app.storage.base import Storage

# Raise the format when nix/answers.nix returns more, or something else, for the same package.
ATTRIBUTES = Kind(name="attributes", format=3, adapter=ANSWER)

Ask = Callable[[Sequence[str]], Awaitable[Sequence[Answer]]]

Check = Callable[[dict[str, Answer]], object]


class AnswerMemory:
    def __init__(self, *, storage: Storage, failures: RecentFailures | None = None) -> None:
        self._known = RememberedRecords(storage=storage, kind=ATTRIBUTES)
        self._failures = failures or RecentFailures()
        self._asked: dict[Digest, asyncio.Event] = {}

    async def answers(
        self,
        subject: dict[str, object],
        names: Sequence[str],
        ask: Ask,
        check: Check = lambda _: None,
    ) -> tuple[Answer, ...]:
        """In the order of the names; ``ask`` is called once, for all that nobody has asked.

        ``check`` is given what is known before anything is asked, and may raise.

        ``subject`` is everything the answers depend on besides the name.  Raises what ``ask``
        raises; an error that somebody else's question met is not ours, so we ask again.
        """
        keys = {name: attribute_key(subject, name) for name in names}
        recent = {name: self._failures.get(key) for name, key in keys.items()}
        told: dict[str, Answer] = {n: failure for n, failure in recent.items() if failure}
        while True:
            missing = [name for name in keys if name not in told]
            read = await self._known.read_each([keys[name] for name in missing])
            told |= {n: known for n, known in zip(missing, read, strict=True) if known is not None}
            missing = [name for name in missing if name not in told]
            if not missing:
                return tuple(told[name] for name in names)
            check(told)
            ours = [name for name in missing if keys[name] not in self._asked]
            if ours:
                told |= await self._ask({name: keys[name] for name in ours}, ask)
            for name in missing:
                if asked := self._asked.get(keys[name]):
                    await asked.wait()

    async def _ask(self, keys: dict[str, Digest], ask: Ask) -> dict[str, Answer]:
        """Evaluate, then store or remember what the answers' validity allows."""
        done = asyncio.Event()
        self._asked.update(dict.fromkeys(keys.values(), done))
        try:
            found = dict(zip(keys, await ask(tuple(keys)), strict=True))
            for name, answer in found.items():
                if isinstance(answer, Raised):
                    self._failures.add(keys[name], answer)
            await gather(
                self._known.write(keys[name], answer)
                for name, answer in found.items()
                if not isinstance(answer, Raised) or answer.validity == Validity.ALWAYS
            )
            return found
        finally:
            for key in keys.values():
                del self._asked[key]
            done.set()


def attribute_key(subject: dict[str, object], name: str) -> Digest:
    return ATTRIBUTES.key(subject=subject, name=name)

"""Packages that may have been meant by names that are not in a package set."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from app.builder.evaluation.evaluator import Pinned
from app.builder.names.attribute_names import AttributeNames
from app.builder.names.attribute_reader import AttributeReader
from app.builder.names.suggestions import NameIndex, typed
from app.oci import Digest
from app.system.blocking import blocking
from app.system.workers import Workers

_SUGGESTIONS = 3
_CHECKED = 8  # candidates for one name


@dataclass(frozen=True, slots=True)
class ListedNames:
    """All names of a revision.

    ``unlooked`` are those at the top that may not be packages.  ``undecided`` are those at the top
    that are not packages, or sets whose packages are listed.
    """

    index: NameIndex
    unlooked: frozenset[str]
    sets: NameIndex
    undecided: NameIndex

    @classmethod
    @blocking
    def of(cls, names: AttributeNames) -> "ListedNames":
        nested = {name.partition(".")[0] for name in names.nested}
        return cls(
            NameIndex.of(names.candidates, complete=names.complete),
            frozenset(name for name in map(typed, names.unlooked) if name is not None),
            NameIndex.of([*names.sets, *nested]),
            NameIndex.of([*names.sets, *names.others]),
        )

    def rules_out(self, name: str) -> bool:
        """Return whether Nix would find nothing under this name.

        A package, a value, and a set whose packages are not listed may have any attribute.
        """
        top, dot, _ = name.partition(".")
        if not self.undecided.lacks(top):
            return False
        if self.index.lacks(top) and not self.index.has_set(top):
            return True
        return bool(dot) and not self.index.has(top) and self.index.lacks(name)

    def may_contain(self, place: str) -> bool:
        """Whether there is something at the top that ``place`` may be, or be in."""
        top = place.partition(".")[0]
        return not (self.index.lacks(top) and self.sets.lacks(top))


class Proposals:
    """For one revision, whose ``key`` is given; ``listed`` waits for the list of its names.

    ``known`` is that list if it is in memory.
    """

    def __init__(
        self,
        *,
        key: Digest,
        pinned: Pinned,
        reader: AttributeReader,
        workers: Workers,
        listed: Callable[[], Awaitable[ListedNames]],
        known: ListedNames | None,
    ) -> None:
        self._key = key
        self._pinned = pinned
        self._reader = reader
        self._workers = workers
        self._listed = listed
        self._known = known

    async def find(self, unknown: Sequence[str]) -> tuple[str, ...]:
        """The best for each name, then the second best for each, and so on.

        Raises what AttributeReader raises, and what ``listed`` does.
        """
        found = [await self._for(name) for name in unknown[:_SUGGESTIONS]]
        ranked = [
            names[rank] for rank in range(_SUGGESTIONS) for names in found if rank < len(names)
        ]
        return tuple(dict.fromkeys(ranked))[:_SUGGESTIONS]

    async def _for(self, unknown: str) -> tuple[str, ...]:
        place, _, leaf = unknown.lower().rpartition(".")
        possible = self._known is None or self._known.may_contain(place)
        if place and possible and (found := await self._within(place, leaf)):
            return found
        listed = await self._listed()
        if place:
            # The set's own name may be mistyped; it need not be one whose packages are listed.
            for other in await self._workers.run(listed.sets.suggest, place, 1):
                if found := await self._within(other, leaf):
                    return found
        candidates = await self._workers.run(listed.index.suggest, unknown, _CHECKED)
        return await self._packages(candidates, lambda name: "." in name or name in listed.unlooked)

    async def _within(self, place: str, leaf: str) -> tuple[str, ...]:
        """Packages of one set that are like ``leaf``, or are called so."""
        names = await self._reader.within(self._key, self._pinned, place)
        candidates = await self._workers.run(names.search, f"{place}.{leaf}", 1)
        like = await self._workers.run(names.suggest, f"{place}.{leaf}", _CHECKED)
        exact = [name for name in candidates if name == f"{place}.{leaf}"]
        return await self._packages((*exact, *like), lambda _: True)

    async def _packages(
        self, candidates: Sequence[str], doubtful: Callable[[str], bool]
    ) -> tuple[str, ...]:
        """The first of the candidates that are packages; the doubtful ones are looked at."""
        doubted = [name for name in candidates if doubtful(name)]
        packages: frozenset[str] = frozenset()
        if doubted:
            packages = await self._reader.packages(self._key, self._pinned, doubted)
        sure = (name for name in candidates if name in packages or name not in doubted)
        return tuple(islice(sure, _SUGGESTIONS))

"""Suggestions for names that are not in a package set."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ParamSpec, TypeVar

from app.builder.evaluation.evaluator import Pinned
from app.builder.names.attribute_names import AttributeNames
from app.builder.names.attribute_reader import AttributeReader
from app.builder.names.lookups import Lookups
from app.builder.names.name_index import NameIndex, typed
from app.oci import Digest
from app.system.blocking import blocking

P = ParamSpec("P")
T = TypeVar("T")

SUGGESTIONS = 3
_CHECKED = 8  # candidates for one name


@dataclass(frozen=True, slots=True)
class ListedNames:
    """All names of a revision.

    index: names of packages, and names that may be packages.
    unlooked: names at the top that may not be packages.
    sets: sets at the top, with and without listed packages.
    undecided: names at the top that are neither packages nor sets with listed packages.
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
        """Return whether the top has a name that may be ``place``, or contain it."""
        top = place.partition(".")[0]
        return not (self.index.lacks(top) and self.sets.lacks(top))


class Suggestions:
    """Finds suggestions in one revision.

    ``key`` is that of its names.  ``listed`` waits for their list; ``known`` is the list if it is
    in memory.
    """

    def __init__(
        self,
        *,
        key: Digest,
        pinned: Pinned,
        reader: AttributeReader,
        lookups: Lookups,
        clients: Sequence[str],
        listed: Callable[[], Awaitable[ListedNames]],
        known: ListedNames | None,
    ) -> None:
        self._key = key
        self._pinned = pinned
        self._reader = reader
        self._lookups = lookups
        self._clients = clients
        self._listed = listed
        self._known = known

    async def find(self, unknown: Sequence[str]) -> tuple[str, ...]:
        """Return the best package for each name, then the second best for each, and so on.

        Raises the errors of AttributeReader and of ``listed``.
        """
        found = [await self._for(name) for name in unknown[:SUGGESTIONS]]
        ranked = [
            names[rank] for rank in range(SUGGESTIONS) for names in found if rank < len(names)
        ]
        return tuple(dict.fromkeys(ranked))[:SUGGESTIONS]

    async def _for(self, unknown: str) -> tuple[str, ...]:
        place, _, leaf = unknown.lower().rpartition(".")
        possible = self._known is None or self._known.may_contain(place)
        if place and possible and (found := await self._within(place, leaf)):
            return found
        listed = await self._listed()
        if place:
            # The name of the set may be mistyped too, also that of a set without listed packages.
            for other in await self._look_up(listed.sets.suggest, place, 1):
                if found := await self._within(other, leaf):
                    return found
        candidates = await self._look_up(listed.index.suggest, unknown, _CHECKED)
        return await self._packages(candidates, lambda name: "." in name or name in listed.unlooked)

    async def _within(self, place: str, leaf: str) -> tuple[str, ...]:
        """Return packages of one set whose names equal ``leaf`` or resemble it."""
        names = await self._reader.within(self._key, self._pinned, place)
        candidates = await self._look_up(names.search, f"{place}.{leaf}", 1)
        like = await self._look_up(names.suggest, f"{place}.{leaf}", _CHECKED)
        exact = [name for name in candidates if name == f"{place}.{leaf}"]
        return await self._packages((*exact, *like), lambda _: True)

    async def _packages(
        self, candidates: Sequence[str], doubtful: Callable[[str], bool]
    ) -> tuple[str, ...]:
        """Return the first candidates that are packages; only doubtful ones are evaluated."""
        doubted = [name for name in candidates if doubtful(name)]
        packages: frozenset[str] = frozenset()
        if doubted:
            packages = await self._reader.packages(self._key, self._pinned, doubted)
        sure = (name for name in candidates if name in packages or name not in doubted)
        return tuple(islice(sure, SUGGESTIONS))

    async def _look_up(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._lookups.run(self._clients, work, *args, **kwargs)

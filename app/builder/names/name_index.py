"""The index of all names of a package set, for the search and for suggestions.

Names have the form of image names: lower case, without the underscore that Nix needs before a
digit (nix/lookup.nix finds the attribute).  Names that an image name cannot contain, such as
``plus++``, are left out.

A text is compared with the last component of each name as well, so that ``numpy`` finds
``python3packages.numpy``.  Dashes and underscores are not compared: ``7-zip`` finds ``p7zip``.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain
from typing import TYPE_CHECKING

from app.reference import NAME
from app.system.blocking import blocking
from app.system.on_demand import OnDemand

if TYPE_CHECKING:
    from rapidfuzz import distance, process
else:
    distance = OnDemand("rapidfuzz.distance")
    process = OnDemand("rapidfuzz.process")

_LONGEST = 100
# Names compared in one call of rapidfuzz, during which no other thread of the process runs.
_PART = 1_000
_SHORTEST = 3  # shorter texts are part of too many names
_UNDERSCORE = re.compile(r"(?:^|(?<=\.))_(?=[0-9])")
_SEPARATORS = str.maketrans("", "", "-_")


def typed(attribute: str) -> str | None:
    """Return the attribute as in an image name; None if that cannot hold it."""
    text = _UNDERSCORE.sub("", attribute.lower())
    if len(text) > _LONGEST or "/" in text or not NAME.fullmatch(text):
        return None
    return text


@dataclass(frozen=True, slots=True)
class NameIndex:
    """An index of names.

    names: sorted, each once.
    text: all names, each between newlines.
    leaves: last components, each with the names that end in it, the best first.
    ordered: the same components, in one order.
    compared: the same without separators, in that order.
    complete: whether these are all names of the set.
    longer: whether the set has names that are too long for the index.
    """

    names: tuple[str, ...]
    text: str
    leaves: dict[str, tuple[str, ...]]
    ordered: tuple[str, ...]
    compared: tuple[str, ...]
    complete: bool = True
    longer: bool = False

    @classmethod
    @blocking
    def of(cls, attributes: Iterable[str], *, complete: bool = True) -> "NameIndex":
        """Index the names; ``complete`` states whether these are all names of the set."""
        attributes = tuple(attributes)
        # In the order of Nix, which sorts them: the sorting holds Python's interpreter for a fifth of
        # the time that it takes with a set.
        found = dict.fromkeys(name for name in map(typed, attributes) if name is not None)
        names = sorted(found)
        leaves: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            leaves[_split(name)[1]].append(name)
        return cls(
            tuple(names),
            "\n".join(["", *names, ""]),
            {leaf: _ranked(found) for leaf, found in leaves.items()},
            tuple(leaves),
            tuple(map(_compared, leaves)),
            complete,
            longer=any(len(name) > _LONGEST for name in attributes),
        )

    def lacks(self, name: str) -> bool:
        """Return whether no package has this name; False if the names do not decide it.

        A package, or a set whose packages are not listed, may have any attribute.  A set with
        listed packages has no others.
        """
        if not self.complete or (self.longer and len(name) > _LONGEST):
            return False
        top, *inner = _UNDERSCORE.sub("", name.lower()).split(".")
        if not inner:
            return not self.has(top)
        return self.has_set(top) and not self.has(f"{top}.{inner[0]}")

    def has(self, name: str) -> bool:
        """Return whether the name is listed, as an image name has it."""
        at = bisect_left(self.names, name)
        return self.names[at : at + 1] == (name,)

    @blocking
    def suggest(self, unknown: str, limit: int) -> tuple[str, ...]:
        """Return similar names, then names that it starts with, then names that contain it."""
        text = _folded(unknown)
        found = chain(self._like(text), self._inside(text), self._holding(text, limit))
        return _first(limit, (name for name in found if name != text))

    @blocking
    def search(self, query: str, limit: int) -> tuple[str, ...]:
        """Return the name itself, names that start with it, that contain it, and similar ones."""
        text = _folded(query)
        return _first(
            limit,
            chain(
                self.leaves.get(text, ()),
                self._beginning(text, limit),
                self._holding(text, limit),
                self._like(text),
            ),
        )

    def has_set(self, name: str) -> bool:
        """Return whether the packages of a set with this name are listed."""
        prefix = f"{name}."
        at = bisect_left(self.names, prefix)
        return any(name.startswith(prefix) for name in self.names[at : at + 1])

    def _like(self, text: str) -> Iterator[str]:
        """Yield names within a few typing errors of the text, the fewest first.

        A letter that is missing, added, replaced or transposed is one error.  With equal errors,
        names that contain the whole text come first.
        """
        place, leaf = _split(text)
        wanted = _compared(leaf)
        found: list[tuple[int, bool, int, str]] = []
        for other, mistakes, number in self._near(wanted):
            name = self._choose(self.ordered[number], place)
            elsewhere = mistakes > 0 and _split(name)[0] != place
            begin = distance.Prefix.similarity(leaf, self.ordered[number])
            found.append((mistakes + elsewhere, wanted not in other, -begin, name))
        found.sort(key=lambda one: (*one[:3], _rank(one[3])))
        yield from (one[3] for one in found)

    def _near(self, wanted: str) -> Iterator[tuple[str, int, int]]:
        """Yield names, their typing errors and their numbers."""
        most = _mistakes(wanted)
        for start in range(0, len(self.compared), _PART):
            part = self.compared[start : start + _PART]
            for other, mistakes, number in process.extract(
                wanted, part, scorer=distance.OSA.distance, score_cutoff=most, limit=None
            ):
                yield other, int(mistakes), start + number

    def _choose(self, leaf: str, place: str) -> str:
        names = self.leaves[leaf]
        wanted = f"{place}.{leaf}" if place else leaf
        return wanted if wanted in names else names[0]

    def _inside(self, text: str) -> Iterator[str]:
        """Yield names that the text starts with, the longest first."""
        for end in range(len(text) - 1, _SHORTEST - 1, -1):
            yield from self.leaves.get(text[:end], ())[:1]

    def _beginning(self, text: str, limit: int) -> Iterator[str]:
        if not text:
            return
        inner = (name for name in self._where("." + text) if text in _split(name)[1])
        yield from nsmallest(limit, chain(self._where("\n" + text), inner), key=_rank)

    def _holding(self, text: str, limit: int) -> Iterator[str]:
        if len(text) >= _SHORTEST:
            # The name of a set does not describe the thousands of packages in it.
            found = (n for n in self._where(text) if n.rfind(text) > n.rfind(".") - len(text))
            yield from nsmallest(limit + 1, found, key=_rank)

    def _where(self, part: str) -> Iterator[str]:
        """Yield the names that contain this part; a newline matches the start of a name.

        Searching one text takes a tenth of the time of searching each name.
        """
        found = self.text.find(part)
        while found >= 0 and (end := self.text.find("\n", found + len(part))) >= 0:
            yield self.text[self.text.rfind("\n", 0, found + 1) + 1 : end]
            found = self.text.find(part, end)


def best_of(found: Iterable[Sequence[str]], limit: int) -> tuple[str, ...]:
    """Merge lists that are best first: by the best place that a name has in any of them.

    Of names with the same place, that of the earlier list comes first.
    """
    places: dict[str, int] = {}
    for names in found:
        for place, name in enumerate(names):
            places[name] = min(place, places.get(name, place))
    return tuple(sorted(places, key=places.__getitem__)[:limit])


def _folded(text: str) -> str:
    """Return the first line in the form of names."""
    return _UNDERSCORE.sub("", text.strip().lower().partition("\n")[0][:_LONGEST])


def _split(name: str) -> tuple[str, str]:
    """Return the set, "" at the top, and the last component."""
    place, _, leaf = name.rpartition(".")
    return place, leaf


def _rank(name: str) -> tuple[bool, int, str]:
    """Sort names at the top before names in sets, and short before long."""
    return "." in name, len(name), name


def _ranked(names: list[str]) -> tuple[str, ...]:
    """Sort by ``_rank``, and later versions before earlier ones."""
    if len(names) == 1:
        return (names[0],)
    later_first = sorted(names, reverse=True)
    return tuple(sorted(later_first, key=lambda name: _rank(name)[:2]))


def _compared(leaf: str) -> str:
    return leaf.translate(_SEPARATORS)


def _mistakes(text: str) -> int:
    """Return how many typing errors a text of this length may have."""
    return 0 if len(text) < _SHORTEST else 1 if len(text) < 6 else 2


def _first(limit: int, names: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        if len(found) == limit:
            break
        found[name] = None
    return tuple(found)

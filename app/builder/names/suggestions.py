"""Suggestions and search among all names of a package set.

Names are given as they are written in an image name: in small letters, without the underscore
that Nix needs before a digit (evaluate.nix finds the attribute by that).  Names that no image
name can hold, such as ``plus++``, are not given.

A text is compared with the last component of each name as well, so that ``numpy`` finds
``python3packages.numpy``.  Dashes and underscores are not compared: ``7-zip`` finds ``p7zip``.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain

from rapidfuzz import process
from rapidfuzz.distance import OSA, Prefix

from app.reference import NAME
from app.system.blocking import blocking

_LONGEST = 100
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
    """``names`` in order, each once; ``text`` is all of them, each between newlines.

    ``leaves`` are last components with the names that end so, best first; ``ordered`` are the
    same components, and ``compared`` those without separators, in the same order.  ``complete`` if
    these are all names; ``longer`` if there are others that are too long for the index.
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
        """``complete`` is whether these are all names of the set."""
        attributes = tuple(attributes)
        names = sorted({name for name in map(typed, attributes) if name is not None})
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

        A set whose packages are not listed may have any, and so may a package.  A listed set is
        listed with all of its packages.
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
        """What is like it, then what it begins with, then what holds it."""
        text = _folded(unknown)
        found = chain(self._like(text), self._inside(text), self._holding(text, limit))
        return _first(limit, (name for name in found if name != text))

    @blocking
    def search(self, query: str, limit: int) -> tuple[str, ...]:
        """The name itself, then what begins with it, holds it, is like it."""
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
        """Those with few mistypings between them and the text, fewest first.

        A letter missing, added, replaced, or changed places with its neighbour counts one.  Of
        names with as many, those that have the whole text in them are before others.
        """
        place, leaf = _split(text)
        wanted = _compared(leaf)
        near = process.extract(
            wanted, self.compared, scorer=OSA.distance, score_cutoff=_mistakes(wanted), limit=None
        )
        found: list[tuple[int, bool, int, str]] = []
        for other, mistakes, number in near:
            name = self._choose(self.ordered[number], place)
            elsewhere = mistakes > 0 and _split(name)[0] != place
            begin = Prefix.similarity(leaf, self.ordered[number])
            found.append((mistakes + elsewhere, wanted not in other, -begin, name))
        found.sort(key=lambda one: (*one[:3], _rank(one[3])))
        yield from (one[3] for one in found)

    def _choose(self, leaf: str, place: str) -> str:
        names = self.leaves[leaf]
        wanted = f"{place}.{leaf}" if place else leaf
        return wanted if wanted in names else names[0]

    def _inside(self, text: str) -> Iterator[str]:
        """Those the text begins with, longest first."""
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
        """The names with this part; a newline stands for where they begin.

        One search of one text: going through the names takes ten times as long.
        """
        found = self.text.find(part)
        while found >= 0 and (end := self.text.find("\n", found + len(part))) >= 0:
            yield self.text[self.text.rfind("\n", 0, found + 1) + 1 : end]
            found = self.text.find(part, end)


def _folded(text: str) -> str:
    """Return the first line in the form of names."""
    return _UNDERSCORE.sub("", text.strip().lower().partition("\n")[0][:_LONGEST])


def _split(name: str) -> tuple[str, str]:
    """The set, "" at the top, and the last component."""
    place, _, leaf = name.rpartition(".")
    return place, leaf


def _rank(name: str) -> tuple[bool, int, str]:
    """At the top before in a set, short before long."""
    return "." in name, len(name), name


def _ranked(names: list[str]) -> tuple[str, ...]:
    """As _rank does, but of two that differ in a version the later first."""
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

"""Choose cohorts, the names that share a layer, so that clients wait as little as possible.

The search is greedy, and followed by moves of single parts.  docs/layering.md has the model.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from heapq import heappop, heappush

from app.builder.images.layering.client_time import ClientTime, Group, Usage

# Names in fewer samples are grouped only with names of the same samples: there may be very many.
_RARE = 4
# How often each part is looked at again; few move in the second round.
_ROUNDS = 3


def cohorts_of(names: Mapping[str, Usage], samples: int) -> Mapping[str, int]:
    """Return the cohort of each name, as numbers from 0; a cohort may have one member.

    Two groups become one as long as that saves clients time, the most profitable first.  Then
    each part moves to the group where it saves most.
    """
    model = ClientTime(samples)
    # Names of the same images that are rebuilt for the same causes are always downloaded together.
    equal: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for name in sorted(names):
        usage = names[name]
        rare = usage.images.bit_count() < _RARE
        equal[usage.images, 0 if rare else usage.causes].append(name)
    parts = sorted(
        (model.start(members, names) for members in equal.values()),
        key=lambda group: group.members,
    )
    rare_groups = [part for part in parts if part.images.bit_count() < _RARE]
    parts = [part for part in parts if part.images.bit_count() >= _RARE]
    settled = _moved(parts, _merge(parts, model), model)
    ordered = sorted((*rare_groups, *settled), key=lambda group: group.members)
    return {name: cohort for cohort, group in enumerate(ordered) for name in group.members}


def _merge(parts: list[Group], model: ClientTime) -> list[Group]:
    """Unite the two groups whose union saves most, until none does."""
    groups: dict[int, Group] = {}
    unions: list[tuple[float, int, int]] = []

    def add(number: int, group: Group) -> None:
        for other, partner in groups.items():
            if partner.images & group.images and (gain := model.gain(partner, group)) > 0:
                heappush(unions, (-gain, other, number))
        groups[number] = group

    for number, part in enumerate(parts):
        add(number, part)
    while unions:
        _, one, other = heappop(unions)
        if one in groups and other in groups:
            number += 1
            add(number, _union(groups.pop(one), groups.pop(other), model))
    return list(groups.values())


def _moved(parts: list[Group], merged: list[Group], model: ClientTime) -> list[Group]:
    """Move each part to the group where it saves most time, or to a group of its own."""
    placement = _Placement(parts, merged, model)
    for _ in range(_ROUNDS):
        # Not any(), which would end with the first one.
        if not sum(placement.move(part) for part in range(len(parts))):
            break
    return list(placement.groups.values())


class _Placement:
    """Which parts are in which group."""

    def __init__(self, parts: list[Group], groups: Iterable[Group], model: ClientTime) -> None:
        self.groups = dict(enumerate(groups))
        self._parts = parts
        self._model = model
        numbers = {name: number for number, group in self.groups.items() for name in group.members}
        self._homes = [numbers[part.members[0]] for part in parts]
        self._following = len(self.groups)

    def move(self, part: int) -> bool:
        """Return whether the part is in another group now."""
        own, home = self._parts[part], self._homes[part]
        rest = self._rest(part)
        # What the part saves where it is; it moves for more.
        saved = own.cost + (rest.cost if rest else 0.0) - self.groups[home].cost
        partner = self._better(own, home, max(saved, 0.0))
        if partner < 0 and (saved >= 0 or rest is None):
            return False
        if rest:
            self.groups[home] = rest
        else:
            del self.groups[home]
        if partner < 0:
            partner, self._following = self._following, self._following + 1
            self.groups[partner] = own
        else:
            self.groups[partner] = _union(self.groups[partner], own, self._model)
        self._homes[part] = partner
        return True

    def _better(self, own: Group, home: int, saved: float) -> int:
        """Return the group, apart from the home, where a part saves more; -1 if there is none."""
        found = -1
        for number, group in self.groups.items():
            if number != home and self._model.most(own, group) > saved:
                gain = self._model.gain(own, group)
                if gain > saved:
                    found, saved = number, gain
        return found

    def _rest(self, part: int) -> Group | None:
        """Return the group of a part without it."""
        others = [
            self._parts[other]
            for other, home in enumerate(self._homes)
            if home == self._homes[part] and other != part
        ]
        if not others:
            return None
        # A group has no more combinations than one with further members.
        return reduce(lambda one, other: _union(one, other, self._model), others)


def _union(one: Group, other: Group, model: ClientTime) -> Group:
    union = model.merge(one, other)
    assert union is not None  # it was made before, or found as the best partner
    return union

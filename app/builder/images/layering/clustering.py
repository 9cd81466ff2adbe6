"""Choose cohorts, the names that share a layer, so that clients wait as little as possible.

The cost of a set of cohorts is estimated on sampled images.  A shared layer saves its layer in
each image, and is downloaded again for each combination of its members.  docs/layering.md has the
model and its constants.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

# Seconds that a layer costs a client, and bytes of NAR that it handles in a second.
LAYER_SECONDS = 0.018
BYTES_PER_SECOND = 250_000_000
# What one second of a client counts that pulls SERIES images, and pulls them again after a part
# of the packages CHANGED.  A second of every first pull counts 1.
SERIES = 300
SERIES_WEIGHT = 0.04
UPDATE_WEIGHT = 0.12
CHANGED = 0.055
# Names in fewer samples are grouped only with names of the same samples: there may be very many.
_RARE = 4
# More combinations of members never save time, and comparing them would take long.
_COMBINATIONS = 64


class Usage(NamedTuple):
    """The sampled images with a name, its NAR size, and the names whose change rebuilds it.

    ``images`` and ``causes`` are sets of numbers, as bits.
    """

    images: int
    size: int
    causes: int


class _Variant(NamedTuple):
    """One combination of members, and the images that have exactly this one."""

    images: int
    size: int
    causes: int


@dataclass(frozen=True, slots=True)
class _Group:
    members: tuple[str, ...]
    images: int
    variants: tuple[_Variant, ...]
    cost: float
    # The part of the cost for repeated downloads that is not for bytes.
    fixed: float


class _Candidate(NamedTuple):
    gain: float
    partner: int


_NONE = _Candidate(0.0, -1)


def cohorts_of(names: Mapping[str, Usage], samples: int) -> Mapping[str, int]:
    """Return the cohort of each name, as numbers from 0; a cohort may have one member.

    Two groups become one as long as that saves clients time, the most profitable first.
    """
    model = _Model(samples)
    equal: defaultdict[int, list[str]] = defaultdict(list)
    for name in sorted(names):
        equal[names[name].images].append(name)
    groups = [model.start(members, names) for members in equal.values()]
    rare = [group for group in groups if group.images.bit_count() < _RARE]
    merged = _merge([group for group in groups if group.images.bit_count() >= _RARE], model)
    ordered = sorted((*rare, *merged), key=lambda group: group.members)
    return {name: cohort for cohort, group in enumerate(ordered) for name in group.members}


class _Model:
    """Seconds, weighted.  Tables are made by multiplication, which is exact everywhere."""

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._seen = [1 - _power(1 - count / samples, SERIES) for count in range(samples + 1)]
        self._unchanged = [1.0]

    def start(self, members: list[str], names: Mapping[str, Usage]) -> _Group:
        """Return a group of names that occur in the same images."""
        causes = 0
        for name in members:
            causes |= names[name].causes
        images = names[members[0]].images
        variant = _Variant(images, sum(names[name].size for name in members), causes)
        return self._group(members, images, (variant,))

    def merge(self, one: _Group, other: _Group) -> _Group | None:
        """Return the union, or None if it has too many combinations of members."""
        variants = tuple(_combine(one, other))
        if len(variants) > _COMBINATIONS:
            return None
        return self._group((*one.members, *other.members), one.images | other.images, variants)

    def gain(self, one: _Group, other: _Group, above: float) -> float:
        """Return what the union saves; 0 if not more than ``above``."""
        both = (one.images & other.images).bit_count()
        # The union has each image's layer once, and no fewer combinations than either group.
        most = LAYER_SECONDS * both / self._samples + min(one.fixed, other.fixed)
        if not both or most <= above:
            return 0.0
        union = self.merge(one, other)
        gain = one.cost + other.cost - union.cost if union else 0.0
        return gain if gain > above else 0.0

    def _group(self, members: Iterable[str], images: int, variants: tuple[_Variant, ...]) -> _Group:
        first = fixed = size = 0.0
        for variant in variants:
            count = variant.images.bit_count()
            changed = 1 - self._chance_unchanged(variant.causes.bit_count())
            again = self._seen[count] * (SERIES_WEIGHT + UPDATE_WEIGHT * changed)
            first += LAYER_SECONDS * count / self._samples
            fixed += again * LAYER_SECONDS
            size += again * variant.size / BYTES_PER_SECOND
        return _Group(tuple(sorted(members)), images, variants, first + fixed + size, fixed)

    def _chance_unchanged(self, causes: int) -> float:
        while len(self._unchanged) <= causes:
            self._unchanged.append(self._unchanged[-1] * (1 - CHANGED))
        return self._unchanged[causes]


def _combine(one: _Group, other: _Group) -> Iterable[_Variant]:
    for mine in one.variants:
        if alone := mine.images & ~other.images:
            yield mine._replace(images=alone)
        if mine.images & other.images:
            for theirs in other.variants:
                if both := mine.images & theirs.images:
                    yield _Variant(both, mine.size + theirs.size, mine.causes | theirs.causes)
    for theirs in other.variants:
        if alone := theirs.images & ~one.images:
            yield theirs._replace(images=alone)


def _merge(start: list[_Group], model: _Model) -> list[_Group]:
    groups = dict(enumerate(sorted(start, key=lambda group: group.members)))
    best = {number: _best(number, groups, model) for number in groups}
    following = len(groups)
    while best:
        number = max(best, key=lambda n: (best[n].gain, -n))
        partner = best[number].partner
        if partner < 0:
            break
        union = model.merge(groups.pop(number), groups.pop(partner))
        assert union is not None  # only unions with a gain are candidates
        del best[number], best[partner]
        stale = [n for n, candidate in best.items() if candidate.partner in (number, partner)]
        groups[following] = union
        best.update((n, _best(n, groups, model)) for n in stale)
        own = _NONE
        for n, candidate in best.items():
            if gain := model.gain(groups[n], union, min(candidate.gain, own.gain)):
                own = max(own, _Candidate(gain, n))
                best[n] = max(candidate, _Candidate(gain, following))
        best[following] = own
        following += 1
    return list(groups.values())


def _best(number: int, groups: Mapping[int, _Group], model: _Model) -> _Candidate:
    own = groups[number]
    found = _NONE
    for n, group in groups.items():
        if n != number and (gain := model.gain(own, group, found.gain)):
            found = _Candidate(gain, n)
    return found


def _power(base: float, exponent: int) -> float:
    result = 1.0
    for _ in range(exponent):
        result *= base
    return result

"""Estimate how long clients wait for the layer that a group of names shares.

A shared layer saves its layer in each image, and is downloaded again for each combination of its
members, and when one of them is rebuilt.  docs/layering.md has the model and its constants.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

# Seconds that a layer costs in a first pull, and in the repeated ones; and bytes of NAR that a
# client handles in a second.
FIRST_LAYER_SECONDS = 0.036
LAYER_SECONDS = 0.01
BYTES_PER_SECOND = 250_000_000
# What one second of a client counts that pulls SERIES images, and pulls them again after a part
# of the packages CHANGED.  A second of every first pull counts 1.
SERIES = 300
SERIES_WEIGHT = 0.07
UPDATE_WEIGHT = 0.16
CHANGED = 0.055
# More combinations of members never save time, and comparing them would take long.
_COMBINATIONS = 64


class Usage(NamedTuple):
    """The sampled images with a name, its NAR size, and the names whose change rebuilds it.

    Or of a combination of names: the images that have exactly this one.  ``images`` and ``causes``
    are sets of numbers, as bits.
    """

    images: int
    size: int
    causes: int


@dataclass(frozen=True, slots=True)
class Group:
    """Names in one layer; ``cost`` is in weighted seconds.

    ``fixed`` is the part of the cost for repeated downloads that is not for bytes.
    """

    members: tuple[str, ...]
    images: int
    variants: tuple[Usage, ...]
    cost: float
    fixed: float


class ClientTime:
    """Seconds, weighted.  Tables are made by multiplication, which is exact everywhere."""

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._seen = [1 - _power(1 - count / samples, SERIES) for count in range(samples + 1)]
        self._unchanged = [1.0]

    def start(self, members: list[str], names: Mapping[str, Usage]) -> Group:
        """Return a group of names that occur in the same images."""
        causes = 0
        for name in members:
            causes |= names[name].causes
        images = names[members[0]].images
        variant = Usage(images, sum(names[name].size for name in members), causes)
        return self._group(members, images, (variant,))

    def merge(self, one: Group, other: Group) -> Group | None:
        """Return the union, or None if it has too many combinations of members."""
        variants = tuple(_combine(one, other))
        if len(variants) > _COMBINATIONS:
            return None
        return self._group((*one.members, *other.members), one.images | other.images, variants)

    def most(self, one: Group, other: Group) -> float:
        """Return what the union saves at most; 0 if the groups never meet."""
        both = (one.images & other.images).bit_count()
        # The union has each image's layer once, and no fewer combinations than either group.
        saved = FIRST_LAYER_SECONDS * both / self._samples + min(one.fixed, other.fixed)
        return saved if both else 0.0

    def gain(self, one: Group, other: Group) -> float:
        """Return what the union saves, a negative number if it costs time; 0 if it may not be."""
        union = self.merge(one, other)
        return one.cost + other.cost - union.cost if union else 0.0

    def _group(self, members: Iterable[str], images: int, variants: tuple[Usage, ...]) -> Group:
        first = fixed = size = 0.0
        for variant in variants:
            count = variant.images.bit_count()
            changed = 1 - self._chance_unchanged(variant.causes.bit_count())
            again = self._seen[count] * (SERIES_WEIGHT + UPDATE_WEIGHT * changed)
            first += FIRST_LAYER_SECONDS * count / self._samples
            fixed += again * LAYER_SECONDS
            size += again * variant.size / BYTES_PER_SECOND
        return Group(tuple(sorted(members)), images, variants, first + fixed + size, fixed)

    def _chance_unchanged(self, causes: int) -> float:
        while len(self._unchanged) <= causes:
            self._unchanged.append(self._unchanged[-1] * (1 - CHANGED))
        return self._unchanged[causes]


def _combine(one: Group, other: Group) -> Iterable[Usage]:
    for mine in one.variants:
        if alone := mine.images & ~other.images:
            yield mine._replace(images=alone)
        if mine.images & other.images:
            for theirs in other.variants:
                if both := mine.images & theirs.images:
                    yield Usage(both, mine.size + theirs.size, mine.causes | theirs.causes)
    for theirs in other.variants:
        if alone := theirs.images & ~one.images:
            yield theirs._replace(images=alone)


def _power(base: float, exponent: int) -> float:
    result = 1.0
    for _ in range(exponent):
        result *= base
    return result

"""Which names occur in the same images nearly always, told from the images that hold each."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

# Of the images that hold either of two packages, the part that must hold both.  With less,
# images carry what they did not ask for; with more, there are layers that save no bytes.
TAU = 0.8


def cohorts_of(images: Mapping[str, int]) -> Mapping[str, int]:
    """From a bit for each image that holds a name, at least one, to the name's cohort, if any.

    The most frequent lead: a name joins the leader it occurs with most, or leads itself.  A
    cohort has at least two members.
    """
    counted = sorted(
        ((held.bit_count(), name) for name, held in images.items()),
        key=lambda item: (-item[0], item[1]),
    )
    leaders: list[int] = []
    # Who is similar shares an image, so leaders are looked for by the images that hold them.
    by_image: defaultdict[int, list[int]] = defaultdict(list)
    members: list[list[str]] = []
    for count, name in counted:
        held = images[name]
        # Two sets that differ in so few images agree on at least one of these.
        enough = count - math.ceil(TAU * count) + 1
        near = {leader for image in _first(held, enough) for leader in by_image[image]}
        best = max(((_similarity(leaders[other], held), other) for other in near), default=(0.0, 0))
        if best[0] >= TAU:
            members[best[1]].append(name)
        else:
            for image in _first(held, count):
                by_image[image].append(len(leaders))
            leaders.append(held)
            members.append([name])
    shared = (names for names in members if len(names) > 1)
    return {name: cohort for cohort, names in enumerate(shared) for name in names}


def _similarity(one: int, other: int) -> float:
    """Jaccard's: of the images that hold either, the part that holds both."""
    return (one & other).bit_count() / (one | other).bit_count()


def _first(bits: int, count: int) -> Iterable[int]:
    for _ in range(count):
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest

"""Cohorts: names that nearly always occur in the same images."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

# The part of the images with either of two packages that must have both.  A smaller value puts
# unrequested packages into images; a larger one makes layers that save no bytes.
TAU = 0.8


def cohorts_of(images: Mapping[str, int]) -> Mapping[str, int]:
    """Return the cohort of each name that has one, as numbers from 0.

    ``images`` has a bit for each image that contains the name, at least one.  In the order of
    frequency, a name joins the leader it occurs with most, or becomes a leader.  A cohort has at
    least two members.
    """
    counted = sorted(
        ((held.bit_count(), name) for name, held in images.items()),
        key=lambda item: (-item[0], item[1]),
    )
    leaders: list[int] = []
    # Similar names share an image, so candidates are found through images.
    by_image: defaultdict[int, list[int]] = defaultdict(list)
    members: list[list[str]] = []
    for count, name in counted:
        held = images[name]
        # Two sets as similar as TAU agree on at least one of these images.
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
    """Jaccard index of two sets of images."""
    return (one & other).bit_count() / (one | other).bit_count()


def _first(bits: int, count: int) -> Iterable[int]:
    for _ in range(count):
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest

"""The grouping of images of format 2, as a baseline: by size, and by cohorts of joint occurrence."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from zlib import crc32

from app.builder.images.layering.names import unversioned
from app.builder.nix.closure import Closure, StorePath
from bench.grouping.clients import Layers

BUDGET = 94
_FLOOR = 2_000_000
_SIMILAR = 0.8
_BANDS = 4
_BUCKETS = 8


def by_size(closure: Closure, users: Mapping[str, int], cohorts: Mapping[str, int]) -> Layers:
    """Return the layers; without a plan, ``users`` and ``cohorts`` are empty."""
    groups: defaultdict[object, list[StorePath]] = defaultdict(list)
    for path in closure.paths:
        cohort = cohorts.get(unversioned(path.name))
        shared = cohort is not None and closure[path].nar_size < _FLOOR
        groups[cohort if shared else path].append(path)

    def size(paths: Iterable[StorePath]) -> int:
        return sum(closure[path].nar_size for path in paths)

    ranked = sorted(groups.values(), key=lambda paths: (-size(paths), paths))
    if len(ranked) <= BUDGET:
        return tuple(map(tuple, ranked))
    count = _BANDS if users else _BUCKETS
    rest: defaultdict[int, list[StorePath]] = defaultdict(list)
    for path in (path for paths in ranked[BUDGET - count :] for path in paths):
        name = unversioned(path.name)
        rest[_band(users[name], len(users)) if users else crc32(name.encode()) % count].append(path)
    tail = (sorted(rest[number]) for number in sorted(rest))
    return tuple(map(tuple, (*ranked[: BUDGET - count], *tail)))


def _band(users: int, packages: int) -> int:
    return next((b for b in range(_BANDS - 1) if users * 10 ** (b + 1) > packages), _BANDS - 1)


def similar(images: Mapping[str, int], closure: Closure) -> Mapping[str, int]:
    """Return a cohort for small names that occur in the same four fifths of the images."""
    large = {unversioned(p.name) for p, o in closure.objects.items() if o.nar_size >= _FLOOR}
    leaders: list[int] = []
    cohorts: dict[str, int] = {}
    for name in sorted(images.keys() - large, key=lambda n: (-images[n].bit_count(), n)):
        held = images[name]
        best = max(
            (
                ((held & other).bit_count() / (held | other).bit_count(), -n)
                for n, other in enumerate(leaders)
            ),
            default=(0.0, 0),
        )
        if best[0] >= _SIMILAR:
            cohorts[name] = -best[1]
        else:
            cohorts[name] = len(leaders)
            leaders.append(held)
    return cohorts

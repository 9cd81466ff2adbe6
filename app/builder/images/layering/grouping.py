"""Cut a closure into layers; pure.  docs/layering.md has the reasons."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from app.builder.images.image import LayerPlan
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.nix.closure import Closure, StorePath

# Part of the build key: another grouping makes another image.
GROUPING = "time-4"

# Below this NAR size a path without a cohort shares a layer with others of its bucket, if its
# closure has at most so many paths: an update of any of them rebuilds it, so those with few seldom
# change.
SMALL = 300_000
SHALLOW = 3
_SMALL_BUCKETS = 8
# The most layers for the groups that exceed the budget.  With a profile they are divided by use.
# Without one they are divided by name, if they are large, so that an upgrade does not renew all.
_BANDS = 4
_BUCKETS = 16
_BUCKET_SIZE = 16_000_000
# Over budget, a group of several paths counts as if it were larger by this: it is the same in
# many images.
_SHARED = 8_000_000
# The budget of images with ``few-layers`` in their name.
FEW_LAYERS = 16

_UNKNOWN = ProfileEntry(None, 1)


class _Member(NamedTuple):
    """A path of the closure; sorts as paths do inside a layer."""

    name: str
    path: StorePath
    size: int
    cohort: int | None
    users: int
    needs: int


class _Group(NamedTuple):
    members: tuple[_Member, ...]
    size: int
    weight: int

    @property
    def order(self) -> _Member:
        return self.members[0]

    @property
    def rank(self) -> int:
        return self.size if len(self.members) == 1 else self.size + _SHARED


def plan_layers(closure: Closure, plan: LayerProfile | None, budget: int) -> tuple[LayerPlan, ...]:
    """Return at most ``budget`` layers, the bottom one first, with every path in exactly one.

    The same closure has the same layers.  Raises ValueError if the budget is below one.
    """
    if budget < 1:
        raise ValueError("an image needs a budget of at least one layer")
    groups = _grouped((_share(member), member) for member in _members(closure, plan))
    tail: list[_Group] = []
    if len(groups) > budget:
        groups.sort(key=lambda group: (-group.rank, group.order))
        most = max(1, min(_BANDS if plan else _BUCKETS, budget // 3))
        layers = most if plan else _buckets(groups, budget, most)
        rest = sorted(member for group in groups[budget - layers :] for member in group.members)
        del groups[budget - layers :]
        tail = _grouped(
            (_band(member, plan.packages, layers) if plan else _bucket(member, layers), member)
            for member in rest
        )
    # Some clients reuse layers only as an unbroken chain from the bottom (moby#38446): large and
    # common layers lie lowest.
    for part in (groups, tail):
        part.sort(key=lambda group: (-group.weight, group.order))
    return tuple(
        LayerPlan(tuple(member.path for member in group.members)) for group in (*groups, *tail)
    )


def _members(closure: Closure, plan: LayerProfile | None) -> list[_Member]:
    """Return the closure's paths in the order they have inside a layer."""
    entries = {
        path.base: (plan.entries.get(unversioned(path.name)) if plan else None) or _UNKNOWN
        for path in closure.paths
    }
    order = referrers_first(closure)
    users = _users(closure, entries, order)
    needs = _needs(closure, order)
    return sorted(
        _Member(
            path.name,
            path,
            item.nar_size,
            entries[path.base].cohort,
            users[path.base],
            needs[path.base],
        )
        for path, item in closure.objects.items()
    )


def referrers_first(closure: Closure) -> list[StorePath]:
    """Return the paths so that each stands after all paths that refer to it.

    Paths that are part of a cycle of references, or below one, are left out.
    """
    waiting = dict.fromkeys(closure.paths, 0)
    for item in closure.objects.values():
        for reference in item.references:
            waiting[reference] += 1
    order = [path for path, count in waiting.items() if count == 0]
    for path in order:
        for reference in closure[path].references:
            waiting[reference] -= 1
            if waiting[reference] == 0:
                order.append(reference)
    return order


def _users(
    closure: Closure, entries: Mapping[str, ProfileEntry], order: Iterable[StorePath]
) -> Mapping[str, int]:
    """Return how many packages use each path, by base name.

    A path that the profile does not know has the users of its referrers, and itself.
    """
    users = {base: entry.users for base, entry in entries.items()}
    for top in order:
        for below in closure[top].references:
            if entries[below.base] is _UNKNOWN and users[below.base] <= users[top.base]:
                users[below.base] = users[top.base] + 1
    return users


def _needs(closure: Closure, order: Sequence[StorePath]) -> Mapping[str, int]:
    """Return how many paths are in the closure of each path, by base name."""
    needs = dict.fromkeys((path.base for path in closure.paths), 1)
    bits: dict[StorePath, int] = {}
    for number, path in enumerate(reversed(order)):
        bits[path] = 1 << number
        for reference in closure[path].references:
            bits[path] |= bits[reference]
        needs[path.base] = bits[path].bit_count()
    return needs


def _share(member: _Member) -> Hashable:
    """Return what the members of a group have in common."""
    if member.cohort is not None:
        return "cohort", member.cohort
    if member.size < SMALL and member.needs <= SHALLOW:
        return "small", _bucket(member, _SMALL_BUCKETS)
    return "alone", member.path


def _buckets(ranked: Sequence[_Group], budget: int, most: int) -> int:
    """Return a power of two: the layers for the groups that exceed the budget."""
    count = 1
    while 2 * count <= most:
        if sum(group.size for group in ranked[budget - count :]) <= count * _BUCKET_SIZE:
            break
        count *= 2
    return count


def _band(member: _Member, packages: int, bands: int) -> int:
    """Return the power of ten of a package's use, 0 for the most used."""
    band = 0
    while band < bands - 1 and member.users * 10 ** (band + 1) <= packages:
        band += 1
    return band


def _bucket(member: _Member, buckets: int) -> int:
    """Return a number that the versions of a package share."""
    return crc32(unversioned(member.path.name).encode()) % buckets


def _grouped(members: Iterable[tuple[Hashable, _Member]]) -> list[_Group]:
    """Group by key; members keep their order, and no group is empty."""
    groups: defaultdict[Hashable, list[_Member]] = defaultdict(list)
    for key, member in members:
        groups[key].append(member)
    return [_together(group) for group in groups.values()]


def _together(members: Sequence[_Member]) -> _Group:
    """Weigh use by its magnitude; by value, tiny common paths would lie below large ones."""
    return _Group(
        tuple(members),
        sum(member.size for member in members),
        sum(member.size * member.users.bit_length() for member in members),
    )

"""Cut a closure into layers; pure.  docs/layering.md has the reasons."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from app.builder.images.image import LayerPlan
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.nix.closure import Closure, StorePath

# Part of the build key: another grouping makes another image.
GROUPING = "size-and-cohorts-1"

# From this NAR size in bytes a path has a layer of its own whatever its cohort.  Values between 1
# and 8 MB give the same result.
FLOOR = 2_000_000
# The most layers for the rest: with a profile by use, without one by name, so that an upgrade
# does not renew all of them.
BANDS = 4
BUCKETS = 8

_UNKNOWN = ProfileEntry(None, 1)


class _Member(NamedTuple):
    """A path of the closure; sorts as paths do inside a layer."""

    name: str
    path: StorePath
    size: int
    cohort: int | None
    users: int


class _Group(NamedTuple):
    members: tuple[_Member, ...]
    size: int
    weight: int

    @property
    def order(self) -> _Member:
        return self.members[0]


def plan_layers(closure: Closure, plan: LayerProfile | None, budget: int) -> tuple[LayerPlan, ...]:
    """Return at most ``budget`` layers, the bottom one first, with every path in exactly one.

    The same closure has the same layers.  Raises ValueError if the budget is below one.
    """
    if budget < 1:
        raise ValueError("an image needs a budget of at least one layer")
    groups = _group(_members(closure, plan))
    tail: list[_Group] = []
    if len(groups) > budget:
        layers = max(1, min(BANDS if plan else BUCKETS, budget // 4))
        groups.sort(key=lambda group: (-group.size, group.order))
        rest = sorted(member for group in groups[budget - layers :] for member in group.members)
        del groups[budget - layers :]
        tail = _bands(rest, plan.packages, layers) if plan else _buckets(rest, layers)
    # Some clients reuse layers only as an unbroken chain from the bottom (moby#38446): large and
    # common layers lie lowest.
    groups.sort(key=lambda group: (-group.weight, group.order))
    return tuple(
        LayerPlan(tuple(member.path for member in group.members)) for group in (*groups, *tail)
    )


def _members(closure: Closure, plan: LayerProfile | None) -> list[_Member]:
    """Return the closure's paths in the order they have inside a layer."""
    entries = {
        path.base: (plan.entries.get(unversioned(path.name)) if plan else None) or _UNKNOWN
        for path in closure.paths
    }
    users = _users(closure, entries)
    return sorted(
        _Member(path.name, path, item.nar_size, entries[path.base].cohort, users[path.base])
        for path, item in closure.objects.items()
    )


def _users(closure: Closure, entries: Mapping[str, ProfileEntry]) -> Mapping[str, int]:
    """Return how many packages use each path, by base name.

    A path that the profile does not know has the users of its referrers, and itself.
    """
    users = {base: entry.users for base, entry in entries.items()}
    references = {
        path.base: tuple(reference.base for reference in item.references)
        for path, item in closure.objects.items()
    }
    waiting = dict.fromkeys(references, 0)
    for below in references.values():
        for base in below:
            waiting[base] += 1
    ready = [base for base, count in waiting.items() if count == 0]
    while ready:
        top = ready.pop()
        for base in references[top]:
            if entries[base] is _UNKNOWN and users[base] <= users[top]:
                users[base] = users[top] + 1
            waiting[base] -= 1
            if waiting[base] == 0:
                ready.append(base)
    return users


def _group(members: Iterable[_Member]) -> list[_Group]:
    alone: list[_Group] = []
    cohorts: dict[int, list[_Member]] = {}
    for member in members:
        if member.cohort is None or member.size >= FLOOR:
            alone.append(_together((member,)))
        else:
            cohorts.setdefault(member.cohort, []).append(member)
    return alone + [_together(cohort) for cohort in cohorts.values()]


def _together(members: Sequence[_Member]) -> _Group:
    """Weigh use by its magnitude; by value, tiny common paths would lie below large ones."""
    return _Group(
        tuple(members),
        sum(member.size for member in members),
        sum(member.size * member.users.bit_length() for member in members),
    )


def _bands(rest: Iterable[_Member], packages: int, layers: int) -> list[_Group]:
    """Group by the power of ten of a package's use, the most used first; none is empty."""
    bands: list[list[_Member]] = [[] for _ in range(layers)]
    for member in rest:
        band = 0
        while band < layers - 1 and member.users * 10 ** (band + 1) <= packages:
            band += 1
        bands[band].append(member)
    return [_together(members) for members in bands if members]


def _buckets(rest: Iterable[_Member], layers: int) -> list[_Group]:
    """Group by name, so that versions of a package share a bucket; none is empty."""
    buckets: list[list[_Member]] = [[] for _ in range(layers)]
    for member in rest:
        buckets[crc32(unversioned(member.path.name).encode()) % layers].append(member)
    return [_together(members) for members in buckets if members]

"""Which store paths travel together: from a closure to its layers, pure.  See docs/layering.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from app.builder.images.image import LayerPlan
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.plan import Plan, PlanEntry
from app.builder.nix.closure import Closure, StorePath

# Part of what an image is remembered by: another grouping is another image.
GROUPING = "size-and-cohorts-1"

# Bytes of NAR from which a path travels alone whatever its cohort: sharing is decided by bytes,
# and anything between 1 and 8 MB gives the same result.
FLOOR = 2_000_000
# The most layers for what is left over: with a plan by how much a path is used, without one by
# its name, which keeps an upgrade from renewing all of them.
BANDS = 4
BUCKETS = 8

_UNKNOWN = PlanEntry(None, 1)


class _Member(NamedTuple):
    """Sorts in the order paths keep inside a layer."""

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


def plan_layers(closure: Closure, plan: Plan | None, budget: int) -> tuple[LayerPlan, ...]:
    """At most ``budget`` layers, every path in exactly one; the same for the same closure.

    The bottom layer comes first.  Raises ValueError if the budget is below one.
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
    # Clients that reuse layers only as an unbroken chain from the bottom (moby#38446) keep
    # most if what is large and everywhere lies lowest.
    groups.sort(key=lambda group: (-group.weight, group.order))
    return tuple(
        LayerPlan(tuple(member.path for member in group.members)) for group in (*groups, *tail)
    )


def _members(closure: Closure, plan: Plan | None) -> list[_Member]:
    """In the order layers keep inside."""
    entries = {
        path.base: (plan.entries.get(unversioned(path.name)) if plan else None) or _UNKNOWN
        for path in closure.paths
    }
    users = _users(closure, entries)
    return sorted(
        _Member(path.name, path, item.nar_size, entries[path.base].cohort, users[path.base])
        for path, item in closure.objects.items()
    )


def _users(closure: Closure, entries: Mapping[str, PlanEntry]) -> Mapping[str, int]:
    """How many packages use each path, by base name.

    A path of which the plan does not say it has the users of whoever refers to it, and itself.
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
    """Use counts by its magnitude: by its value, tiny paths would lie below large ones."""
    return _Group(
        tuple(members),
        sum(member.size for member in members),
        sum(member.size * member.users.bit_length() for member in members),
    )


def _bands(rest: Iterable[_Member], packages: int, layers: int) -> list[_Group]:
    """By the power of ten in which a package is used, the most used first, none empty."""
    bands: list[list[_Member]] = [[] for _ in range(layers)]
    for member in rest:
        band = 0
        while band < layers - 1 and member.users * 10 ** (band + 1) <= packages:
            band += 1
        bands[band].append(member)
    return [_together(members) for members in bands if members]


def _buckets(rest: Iterable[_Member], layers: int) -> list[_Group]:
    """By name, so that another version falls into the same one; none empty."""
    buckets: list[list[_Member]] = [[] for _ in range(layers)]
    for member in rest:
        buckets[crc32(unversioned(member.path.name).encode()) % layers].append(member)
    return [_together(members) for members in buckets if members]

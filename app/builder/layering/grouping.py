"""Which store paths travel together: from a closure to its layers, pure.  See docs/layering.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.builder.closure import Closure, StorePath
from app.builder.image import LayerPlan
from app.builder.layering.names import unversioned
from app.builder.layering.plan import Plan, PlanEntry

# Part of what an image is remembered by: another grouping is another image.
GROUPING = "size-and-cohorts-1"

# Bytes of NAR from which a path travels alone whatever its cohort: sharing is decided by bytes,
# and anything between 1 and 8 MB gives the same result.
FLOOR = 2_000_000
# The most layers for what is left over; one per power of ten in use.
TAIL = 4

_UNKNOWN = PlanEntry(None, 1)


class _Member(NamedTuple):
    path: StorePath
    size: int
    cohort: int | None
    users: int

    @property
    def order(self) -> tuple[str, str]:
        return self.path.name, self.path.base


class _Group(NamedTuple):
    members: tuple[_Member, ...]
    size: int
    weight: int

    @property
    def order(self) -> tuple[str, str]:
        return self.members[0].order


def plan_layers(closure: Closure, plan: Plan | None, budget: int) -> tuple[LayerPlan, ...]:
    """At most ``budget`` layers, every path in exactly one; the same for the same closure.

    The bottom layer comes first.  Raises ValueError if the budget is below one.
    """
    if budget < 1:
        raise ValueError("an image needs a budget of at least one layer")
    groups = _group(_members(closure, plan))
    tail: list[_Group] = []
    if len(groups) > budget:
        bands = max(1, min(TAIL, budget // 4)) if plan else 1
        groups.sort(key=lambda group: (-group.size, group.order))
        rest = [member for group in groups[budget - bands :] for member in group.members]
        del groups[budget - bands :]
        tail = _bands(rest, plan.packages if plan else 1, bands)
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
    members = [
        _Member(path, item.nar_size, entries[path.base].cohort, users[path.base])
        for path, item in closure.objects.items()
    ]
    members.sort(key=lambda member: member.order)
    return members


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
            alone.append(_Group((member,), member.size, member.size * member.users))
        else:
            cohorts.setdefault(member.cohort, []).append(member)
    return alone + [_together(cohort) for cohort in cohorts.values()]


def _together(members: Sequence[_Member]) -> _Group:
    return _Group(
        tuple(members),
        sum(member.size for member in members),
        sum(member.size * member.users for member in members),
    )


def _bands(rest: Iterable[_Member], packages: int, bands: int) -> list[_Group]:
    """By the power of ten in which a package is used, the most used first, none empty."""
    banded: list[list[_Member]] = [[] for _ in range(bands)]
    for member in sorted(rest, key=lambda member: member.order):
        band = 0
        while band < bands - 1 and member.users * 10 ** (band + 1) <= packages:
            band += 1
        banded[band].append(member)
    return [_together(members) for members in banded if members]

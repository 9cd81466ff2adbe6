"""Group the paths of an image by a profile; pure.  docs/layering.md has the reasons."""

from collections.abc import Hashable, Sequence
from zlib import crc32

from app.builder.images.layering.groups import Group, Member, grouped
from app.builder.images.layering.names import unversioned

# Below this NAR size a path without a cohort shares a layer with others of its bucket, if its
# closure has at most so many paths: an update of any of them rebuilds it, so those with few seldom
# change.
SMALL = 300_000
SHALLOW = 3
_BUCKETS = 8
# The most layers for the groups that exceed the budget; they are divided by use.
_BANDS = 4
# Over budget, a group of several paths counts as if it were larger by this: it is the same in
# many images.
_SHARED = 8_000_000


def group_by_cohort(
    members: Sequence[Member], packages: int, budget: int
) -> tuple[list[Group], list[Group]]:
    """Return at most ``budget`` groups; those in the second list exist because of the budget.

    ``packages`` is the number of packages that use is counted of.
    """
    groups = grouped((_share(member), member) for member in members)
    if len(groups) <= budget:
        return groups, []
    groups.sort(key=lambda group: (-_rank(group), group.order))
    bands = max(1, min(_BANDS, budget // 3))
    kept = budget - bands
    rest = sorted(member for group in groups[kept:] for member in group.members)
    return groups[:kept], grouped((_band(member, packages, bands), member) for member in rest)


def _share(member: Member) -> Hashable:
    """Return what the members of a group have in common."""
    if member.cohort is not None:
        return "cohort", member.cohort
    if member.size < SMALL and member.needs <= SHALLOW:
        return "small", _bucket(member)
    return "alone", member.path


def _bucket(member: Member) -> int:
    """Return a number that the versions of a package share."""
    return crc32(unversioned(member.name).encode()) % _BUCKETS


def _rank(group: Group) -> int:
    return group.size if len(group.members) == 1 else group.size + _SHARED


def _band(member: Member, packages: int, bands: int) -> int:
    """Return the power of ten of a package's use, 0 for the most used."""
    band = 0
    while band < bands - 1 and member.users * 10 ** (band + 1) <= packages:
        band += 1
    return band

"""Cut a closure into layers; pure.  docs/layering.md has the reasons."""

from collections.abc import Iterable, Mapping

from app.builder.images.image import LayerPlan
from app.builder.images.layering.by_cohort import group_by_cohort
from app.builder.images.layering.by_part import group_by_part
from app.builder.images.layering.groups import Member
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.parts import divide
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.images.layering.references import needed_paths, referrers_first
from app.builder.nix.closure import Closure, StorePath

# Part of the build key: another grouping makes another image.
GROUPING = "time-5"

# The budget of images with ``few-layers`` in their name.
FEW_LAYERS = 16

_UNKNOWN = ProfileEntry(None, 1)


def plan_layers(closure: Closure, plan: LayerProfile | None, budget: int) -> tuple[LayerPlan, ...]:
    """Return at most ``budget`` layers, the bottom one first, with every path in exactly one.

    The same closure has the same layers.  Raises ValueError if the budget is below one.
    """
    if budget < 1:
        raise ValueError("an image needs a budget of at least one layer")
    order = referrers_first(closure)
    needed = needed_paths(closure, order)
    members = _members(closure, plan, order, needed)
    groups, tail = (
        group_by_cohort(members, plan.packages, budget)
        if plan and plan.has_cohorts
        else group_by_part(members, divide(needed), budget)
    )
    # Some clients reuse layers only as an unbroken chain from the bottom (moby#38446): large and
    # common layers lie lowest.
    for part in (groups, tail):
        part.sort(key=lambda group: (-group.weight, group.order))
    return tuple(
        LayerPlan(tuple(member.path for member in group.members)) for group in (*groups, *tail)
    )


def _members(
    closure: Closure,
    plan: LayerProfile | None,
    order: Iterable[StorePath],
    needed: Mapping[StorePath, int],
) -> list[Member]:
    """Return the closure's paths in the order they have inside a layer."""
    entries = {
        path.base: (plan.entries.get(unversioned(path.name)) if plan else None) or _UNKNOWN
        for path in closure.paths
    }
    users = _users(closure, entries, order)
    return sorted(
        Member(
            path.name,
            path,
            item.nar_size,
            entries[path.base].cohort,
            users[path.base],
            needed[path].bit_count(),
        )
        for path, item in closure.objects.items()
    )


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

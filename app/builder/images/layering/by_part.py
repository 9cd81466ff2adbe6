"""Group the paths of an image without a profile; pure.  docs/layering.md has the reasons."""

from collections.abc import Hashable, Mapping, Sequence

from app.builder.images.layering.groups import Group, Member, grouped, together
from app.builder.nix.closure import StorePath

# Below this NAR size a path shares a layer with others of its part, if its closure has at most so
# many paths: an update of any of them rebuilds it, so those with few seldom change.
SMALL = 200_000
SHALLOW = 3
# Over budget, paths of a part share layers by size: below this, below twice as much, and so on.
BAND = 400_000


def group_by_part(
    members: Sequence[Member], parts: Mapping[StorePath, int], budget: int
) -> tuple[list[Group], list[Group]]:
    """Return at most ``budget`` groups; those in the second list exist because of the budget.

    ``parts`` numbers the part of the image that each path belongs to.
    """
    small: list[Group] = []
    bands: list[Group] = []
    for group in grouped((_share(member, parts), member) for member in members):
        (small if _is_small(group.order) else bands).append(group)
    bands.sort(key=_bytes_for_a_layer)
    count = len(small) + sum(len(band.members) for band in bands)
    joined = 0
    while count > budget and joined < len(bands):
        count -= len(bands[joined].members) - 1
        joined += 1
    if count > budget:
        largest = sorted((*small, *bands), key=lambda group: (-group.size, group.order))
        rest = sorted(member for group in largest[budget - 1 :] for member in group.members)
        return largest[: budget - 1], [together(rest)]
    alone = [together([member]) for band in bands[joined:] for member in band.members]
    return [*small, *alone], bands[:joined]


def _is_small(member: Member) -> bool:
    return member.size < SMALL and member.needs <= SHALLOW


def _share(member: Member, parts: Mapping[StorePath, int]) -> Hashable:
    """Return what paths have in common that may share a layer."""
    part = parts[member.path]
    if _is_small(member):
        return part, "small"
    return part, (member.size // BAND).bit_length(), member.needs <= SHALLOW


def _bytes_for_a_layer(band: Group) -> tuple[int, Member]:
    """Order bands by the bytes that share a layer for each layer that this saves."""
    return band.size // max(1, len(band.members) - 1), band.order

"""The store paths of an image, and groups of them that become layers; pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from app.builder.nix.closure import StorePath


class Member(NamedTuple):
    """A path of the closure; sorts as paths do inside a layer.

    ``users`` counts the packages that need it, ``needs`` the paths that it needs, with itself.
    """

    name: str
    path: StorePath
    size: int
    cohort: int | None
    users: int
    needs: int


class Group(NamedTuple):
    """Paths that share a layer; ``weight`` is their size times the magnitude of their use."""

    members: tuple[Member, ...]
    size: int
    weight: int

    @property
    def order(self) -> Member:
        return self.members[0]


def grouped(members: Iterable[tuple[Hashable, Member]]) -> list[Group]:
    """Group by key; members keep their order, and no group is empty."""
    groups: defaultdict[Hashable, list[Member]] = defaultdict(list)
    for key, member in members:
        groups[key].append(member)
    return [together(group) for group in groups.values()]


def together(members: Sequence[Member]) -> Group:
    """Weigh use by its magnitude; by value, tiny common paths would lie below large ones."""
    return Group(
        tuple(members),
        sum(member.size for member in members),
        sum(member.size * member.users.bit_length() for member in members),
    )

"""What realising packages would download and build."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.builder.nix.closure import StoreObject, StorePath


@dataclass(frozen=True, slots=True)
class CachedPath:
    """A path that a binary cache has; ``size`` is in bytes to download, None if it is not known."""

    cache: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class StorePreview:
    """What Nix would download and build for packages.

    ``objects`` are the known members of the closures, and ``local`` those that are valid here.
    ``cached`` are paths that would be downloaded.  ``builds`` are derivations that would be built.
    ``unavailable`` are paths that may not be built and that no cache has.  The closure of a path in
    ``unknown`` is not known before it is built or downloaded.
    """

    objects: dict[StorePath, StoreObject] = field(default_factory=dict)
    local: frozenset[StorePath] = frozenset()
    cached: dict[StorePath, CachedPath] = field(default_factory=dict)
    builds: frozenset[StorePath] = frozenset()
    unavailable: frozenset[StorePath] = frozenset()
    unknown: frozenset[StorePath] = frozenset()


def merged(previews: Iterable[StorePreview]) -> StorePreview:
    """Return the previews of several sources as one; a path that is valid here counts as local."""
    objects: dict[StorePath, StoreObject] = {}
    cached: dict[StorePath, CachedPath] = {}
    sets: list[StorePreview] = list(previews)
    for one in sets:
        objects |= one.objects
        cached |= one.cached
    local = frozenset().union(*(one.local for one in sets))
    return StorePreview(
        objects=objects,
        local=local,
        cached={path: found for path, found in cached.items() if path not in local},
        builds=frozenset().union(*(one.builds for one in sets)),
        unavailable=frozenset().union(*(one.unavailable for one in sets)),
        unknown=frozenset().union(*(one.unknown for one in sets)),
    )

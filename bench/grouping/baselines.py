"""Layer groupings of other tools, implemented from their descriptions, as baselines."""

from collections.abc import Mapping

from app.builder.nix.closure import Closure, StorePath
from bench.grouping.clients import Layers

# Nixery's own threshold, for closures.
_LARGE = 100_000_000


def one_layer(closure: Closure) -> Layers:
    return (closure.paths,)


def by_popularity(closure: Closure, references: Mapping[str, int], budget: int) -> Layers:
    """Group as nix2container and dockerTools: most referenced paths alone, the rest in one layer."""
    ranked = sorted(closure.paths, key=lambda path: (-references.get(path.name, 0), path))
    if len(ranked) <= budget:
        return tuple((path,) for path in ranked)
    alone, rest = ranked[: budget - 1], ranked[budget - 1 :]
    return (*((path,) for path in alone), tuple(sorted(rest)))


def by_dominance(
    closure: Closure,
    top: frozenset[StorePath],
    references: Mapping[str, int],
    budget: int,
    popular: int,
) -> Layers:
    """Group as Nixery: subtrees of the dominator tree below the image.

    A path is the image's own child if it was asked for, is referred to ``popular`` times, or has a large closure.
    Over budget, the layers of the least size times popularity are merged.
    """
    closure_size = {path: _closure_size(closure, path) for path in closure.paths}
    children = {
        path
        for path in closure.paths
        if path in top or references.get(path.name, 0) >= popular or closure_size[path] >= _LARGE
    }
    dominator = _dominators(closure, children)
    groups: dict[StorePath, list[StorePath]] = {}
    for path in closure.paths:
        root = path
        while (above := dominator[root]) is not None:
            root = above
        groups.setdefault(root, []).append(path)

    def rating(layer: list[StorePath], root: StorePath) -> int:
        return sum(closure[p].nar_size for p in layer) * references.get(root.name, 1)

    rated = [(rating(paths, root), tuple(sorted(paths))) for root, paths in groups.items()]
    while len(rated) > budget:
        rated.sort(reverse=True)
        (one, first), (other, second) = rated.pop(), rated.pop()
        rated.append((one + other, tuple(sorted((*first, *second)))))
    return tuple(paths for _, paths in sorted(rated, reverse=True))


def _closure_size(closure: Closure, path: StorePath) -> int:
    found: set[StorePath] = set()
    open_ends = [path]
    while open_ends:
        top = open_ends.pop()
        if top not in found:
            found.add(top)
            open_ends.extend(closure[top].references)
    return sum(closure[item].nar_size for item in found)


def _dominators(closure: Closure, children: set[StorePath]) -> Mapping[StorePath, StorePath | None]:
    """Return each path's immediate dominator; None is the image itself."""
    referrers: dict[StorePath, list[StorePath]] = {path: [] for path in closure.paths}
    for path, item in closure.objects.items():
        for reference in item.references:
            referrers[reference].append(path)
    tree = _Tree()
    waiting = {path: len(above) for path, above in referrers.items()}
    ready = [path for path, count in waiting.items() if count == 0]
    for path in ready:
        tree.add(path, [] if path in children else referrers[path])
        for reference in closure[path].references:
            waiting[reference] -= 1
            if waiting[reference] == 0:
                ready.append(reference)
    return tree.dominator


class _Tree:
    """A dominator tree, built from the image downwards in one pass; the graph is acyclic."""

    def __init__(self) -> None:
        self.dominator: dict[StorePath, StorePath | None] = {}
        self._depth: dict[StorePath | None, int] = {None: 0}

    def add(self, path: StorePath, referrers: list[StorePath]) -> None:
        found: StorePath | None = referrers[0] if referrers else None
        for other in referrers[1:]:
            found = self._meet(found, other)
        self.dominator[path] = found
        self._depth[path] = self._depth[found] + 1

    def _meet(self, one: StorePath | None, other: StorePath | None) -> StorePath | None:
        while one != other:
            if self._depth[one] >= self._depth[other]:
                assert one is not None  # the image is the least deep
                one = self.dominator[one]
            else:
                assert other is not None
                other = self.dominator[other]
        return one

"""The closure of an image as a graph that can be read: its packages, and the largest paths."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.builder.nix.closure import Closure, StorePath
from app.system.blocking import blocking

_NODES = 40
_PACKAGES = 24
_MOST = 10_000
_COLUMN, _ROW = 230, 40
NODE_WIDTH, NODE_HEIGHT = 180, 30
_MARGIN = 8
_NAME = 24


@dataclass(frozen=True, slots=True)
class Node:
    """A store path in the picture.

    ``x`` and ``y`` are the place of its upper left corner.
    """

    name: str
    full_name: str
    size: int
    is_package: bool
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The picture of a closure.

    ``edges`` are SVG paths from a node to what it refers to.  ``hidden`` counts the store paths
    that are not shown.
    """

    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    hidden: int
    width: int
    height: int


@blocking
def closure_graph(closure: Closure, packages: Iterable[StorePath]) -> Graph:
    """Draw the packages and the largest paths; references through hidden paths are drawn too.

    A closure of more than ten thousand paths would take seconds: it has no graph.
    """
    if len(closure) > _MOST:
        return Graph((), (), len(closure), 0, 0)
    roots = [path for path in dict.fromkeys(packages) if path in closure][:_PACKAGES]
    largest = sorted(closure.objects.values(), key=lambda item: (-item.nar_size, item.path))
    shown = list(dict.fromkeys((*roots, *(item.path for item in largest))))[:_NODES]
    below = _reduced({path: _next(closure, path, frozenset(shown)) for path in shown})
    columns = _columns(shown, below)
    places = _places(columns, below)
    nodes = tuple(
        Node(
            name=_short(path.name),
            full_name=path.name,
            size=closure[path].nar_size,
            is_package=path in roots,
            x=places[path][0],
            y=places[path][1],
        )
        for path in shown
    )
    return Graph(
        nodes=nodes,
        edges=tuple(
            _curve(places[path], places[other]) for path in shown for other in sorted(below[path])
        ),
        hidden=len(closure) - len(shown),
        width=max((node.x for node in nodes), default=0) + NODE_WIDTH + _MARGIN,
        height=max((node.y for node in nodes), default=0) + NODE_HEIGHT + _MARGIN,
    )


def _next(closure: Closure, path: StorePath, shown: frozenset[StorePath]) -> frozenset[StorePath]:
    """Return the shown paths that a path leads to, through hidden ones only."""
    seen: set[StorePath] = {path}
    waiting, found = [path], set()
    while waiting:
        for reference in closure[waiting.pop()].references:
            if reference in seen:
                continue
            seen.add(reference)
            if reference in shown:
                found.add(reference)
            else:
                waiting.append(reference)
    return frozenset(found)


def _reduced(
    below: Mapping[StorePath, frozenset[StorePath]],
) -> dict[StorePath, frozenset[StorePath]]:
    """Leave out an edge if another way leads to its end."""
    reachable = {path: _reachable(path, below) for path in below}
    return {
        path: frozenset(
            end
            for end in ends
            if not any(end in reachable[other] for other in ends if other != end)
        )
        for path, ends in below.items()
    }


def _reachable(
    path: StorePath, below: Mapping[StorePath, frozenset[StorePath]]
) -> frozenset[StorePath]:
    seen: set[StorePath] = set()
    waiting = [path]
    while waiting:
        new = below[waiting.pop()] - seen
        seen |= new
        waiting += new
    return frozenset(seen)


def _columns(
    shown: Sequence[StorePath], below: Mapping[StorePath, frozenset[StorePath]]
) -> list[list[StorePath]]:
    """Put each path right of all that refer to it."""
    column = dict.fromkeys(shown, 0)
    # A longest way has no more steps than there are nodes: a cycle ends as well.
    for _ in shown:
        moved = False
        for path in shown:
            for end in below[path]:
                if column[end] <= column[path] < len(shown) - 1:
                    column[end] = column[path] + 1
                    moved = True
        if not moved:
            break
    by_column: defaultdict[int, list[StorePath]] = defaultdict(list)
    for path in shown:
        by_column[column[path]].append(path)
    return [by_column[number] for number in sorted(by_column)]


def _places(
    columns: Sequence[Sequence[StorePath]], below: Mapping[StorePath, frozenset[StorePath]]
) -> dict[StorePath, tuple[int, int]]:
    """Order each column by the places of the referrers, so that fewer edges cross."""
    places: dict[StorePath, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        above = {
            path: [places[other][1] for other in places if path in below[other]] for path in column
        }
        ordered = sorted(
            column,
            key=lambda path: (sum(above[path]) / len(above[path]) if above[path] else 0, path.name),
        )
        for row, path in enumerate(ordered):
            places[path] = (_MARGIN + number * _COLUMN, _MARGIN + row * _ROW)
    return places


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = start[0] + NODE_WIDTH, start[1] + NODE_HEIGHT // 2
    to_x, to_y = end[0], end[1] + NODE_HEIGHT // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"

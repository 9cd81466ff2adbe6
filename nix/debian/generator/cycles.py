"""Make a dependency graph acyclic, deterministically. Pure."""

from collections.abc import Iterable, Mapping

Graph = Mapping[str, frozenset[str]]
Edge = tuple[str, str]


def components(graph: Graph) -> tuple[frozenset[str], ...]:
    """Return the strongly connected components, dependencies first (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[frozenset[str]] = []
    done: set[str] = set()

    def enter(node: str) -> tuple[str, Iterable[str]]:
        index[node] = low[node] = len(index)
        path.append(node)
        return node, iter(sorted(graph[node]))

    for root in sorted(graph):
        work = [] if root in index else [enter(root)]
        while work:
            node, rest = work[-1]
            following = next((n for n in rest if n not in done), None)
            if following is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    cut = path.index(node)
                    found.append(frozenset(path[cut:]))
                    done.update(path[cut:])
                    del path[cut:]
            elif following in index:
                low[node] = min(low[node], index[following])
            else:
                work.append(enter(following))
    return tuple(found)


def without_cycles(graph: Graph) -> tuple[dict[str, frozenset[str]], tuple[Edge, ...]]:
    """Return the graph without the edges that close a cycle, and these edges.

    Within a component the walk starts at the smallest name and follows names in order, so that
    the same edges are removed whatever else is in the graph.
    """
    acyclic = dict(graph)
    removed: list[Edge] = []
    while cycles := [c for c in components(acyclic) if len(c) > 1]:
        for cycle in cycles:
            for source, target in closing_edges(acyclic, cycle):
                acyclic[source] -= {target}
                removed.append((source, target))
    return acyclic, tuple(sorted(removed))


def closing_edges(graph: Graph, component: frozenset[str]) -> tuple[Edge, ...]:
    """Return the edges that lead back to the current path of a depth-first walk."""
    closing: list[Edge] = []
    seen: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> None:
        seen.add(node)
        path.append(node)
        for following in sorted(graph[node] & component):
            if following in path:
                closing.append((node, following))
            elif following not in seen:
                visit(following)
        path.pop()

    visit(min(component))
    return tuple(closing)

from hypothesis import given
from hypothesis import strategies as st

from nix.debian.generator.cycles import components, without_cycles


def graph(**edges: str) -> dict[str, frozenset[str]]:
    return {node: frozenset(targets) for node, targets in edges.items()}


def reachable(edges: dict[str, frozenset[str]], start: str) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(edges[node])
    return frozenset(seen)


def test_components_come_dependencies_first() -> None:
    assert components(graph(a="b", b="c", c="b", d="")) == (
        frozenset("bc"),
        frozenset("a"),
        frozenset("d"),
    )


def test_the_edge_back_to_the_least_name_falls() -> None:
    acyclic, fallen = without_cycles(graph(a="b", b="c", c="a"))
    assert fallen == (("c", "a"),)
    assert acyclic == graph(a="b", b="c", c="")


def test_an_acyclic_graph_stays_as_it_is() -> None:
    edges = graph(a="bc", b="c", c="")
    assert without_cycles(edges) == (edges, ())


nodes = "abcdefgh"
graphs = st.fixed_dictionaries({n: st.frozensets(st.sampled_from(nodes)) for n in nodes})


@given(graphs)
def test_no_cycle_of_two_or_more_is_left_and_only_closing_edges_fall(
    edges: dict[str, frozenset[str]],
) -> None:
    acyclic, fallen = without_cycles(edges)
    assert all(len(component) == 1 for component in components(acyclic))
    assert all(source in reachable(edges, target) for source, target in fallen)
    assert {(a, b) for a in edges for b in edges[a]} - set(fallen) == {
        (a, b) for a in acyclic for b in acyclic[a]
    }


@given(graphs)
def test_what_falls_does_not_depend_on_what_else_is_there(
    edges: dict[str, frozenset[str]],
) -> None:
    part = {node: edges[node] for node in reachable(edges, "c")}
    whole_acyclic, _ = without_cycles(edges)
    part_acyclic, _ = without_cycles(part)
    assert all(part_acyclic[node] == whole_acyclic[node] for node in part)

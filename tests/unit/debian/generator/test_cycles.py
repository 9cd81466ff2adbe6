import pytest
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


def test_components_are_ordered_with_dependencies_first() -> None:
    assert components(graph(a="b", b="c", c="b", d="")) == (
        frozenset("bc"),
        frozenset("a"),
        frozenset("d"),
    )


def test_edge_back_to_the_smallest_name_is_removed() -> None:
    acyclic, fallen = without_cycles(graph(a="b", b="c", c="a"))
    assert fallen == (("c", "a"),)
    assert acyclic == graph(a="b", b="c", c="")


def test_acyclic_graph_is_unchanged() -> None:
    edges = graph(a="bc", b="c", c="")
    assert without_cycles(edges) == (edges, ())


nodes = "abcdefgh"
graphs = st.fixed_dictionaries({n: st.frozensets(st.sampled_from(nodes)) for n in nodes})


@pytest.mark.slow
@given(graphs)
def test_result_is_acyclic_and_only_closing_edges_are_removed(
    edges: dict[str, frozenset[str]],
) -> None:
    acyclic, fallen = without_cycles(edges)
    assert all(len(component) == 1 for component in components(acyclic))
    assert all(source in reachable(edges, target) for source, target in fallen)
    assert {(a, b) for a in edges for b in edges[a]} - set(fallen) == {
        (a, b) for a in acyclic for b in acyclic[a]
    }


@pytest.mark.slow
@given(graphs)
def test_removed_edges_do_not_depend_on_the_rest_of_the_graph(
    edges: dict[str, frozenset[str]],
) -> None:
    part = {node: edges[node] for node in reachable(edges, "c")}
    whole_acyclic, _ = without_cycles(edges)
    part_acyclic, _ = without_cycles(part)
    assert all(part_acyclic[node] == whole_acyclic[node] for node in part)

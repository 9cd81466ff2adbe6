"""Pictures of an image: areas of layers, and the graph of a closure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.routers.web.closure_graph import NODE_HEIGHT, NODE_WIDTH, closure_graph
from app.routers.web.treemap import HEIGHT, WIDTH, treemap


def path(number: int, name: str = "p") -> StorePath:
    return StorePath(f"{number:032d}-{name}")


def closure_of(references: dict[int, list[int]], sizes: dict[int, int] | None = None) -> Closure:
    return Closure(
        StoreObject(path(n), (sizes or {}).get(n, 1), tuple(sorted(path(m) for m in others)))
        for n, others in references.items()
    )


@pytest.mark.slow
@given(st.lists(st.integers(min_value=0, max_value=2_000_000_000), max_size=127))
def test_areas_fill_the_picture_without_overlap(sizes: list[int]) -> None:
    areas = treemap(sizes)

    assert sorted(area.index for area in areas) == list(range(len(sizes)))
    for area in areas:
        assert area.width > 0 or area.height > 0
        assert -0.1 <= area.x <= area.x + area.width <= WIDTH + 0.2
        assert -0.1 <= area.y <= area.y + area.height <= HEIGHT + 0.2
    if sizes:
        covered = sum(area.width * area.height for area in areas)
        assert abs(covered - WIDTH * HEIGHT) < WIDTH * HEIGHT * 0.05


def test_areas_are_in_proportion_the_largest_first() -> None:
    areas = treemap([100, 300, 200])

    assert [area.index for area in areas] == [1, 2, 0]
    by_index = {area.index: area.width * area.height for area in areas}
    assert 2.9 < by_index[1] / by_index[0] < 3.1


def test_a_path_stands_right_of_all_that_refer_to_it() -> None:
    graph = closure_graph(closure_of({1: [2, 3], 2: [3], 3: []}), [path(1)])

    places = {node.full_name + str(index): node.x for index, node in enumerate(graph.nodes)}
    assert len(set(places.values())) == 3
    assert len(graph.edges) == 2
    assert [node.is_package for node in graph.nodes].count(True) == 1


def test_of_many_paths_the_packages_and_the_largest_are_shown_with_ways_through_others() -> None:
    references = {n: [n + 1] for n in range(200)} | {200: []}
    sizes = dict.fromkeys(range(150, 200), 1000)

    graph = closure_graph(closure_of(references, sizes), [path(0)])

    assert len(graph.nodes) == 40
    assert graph.hidden == 161
    assert len(graph.edges) == 39
    assert graph.nodes[0].is_package


def test_boxes_do_not_overlap_and_lie_inside() -> None:
    references = {n: list(range(n + 1, min(n + 7, 60))) for n in range(60)}

    graph = closure_graph(closure_of(references), [path(0), path(30)])

    boxes = [(node.x, node.y) for node in graph.nodes]
    assert len(set(boxes)) == len(boxes)
    assert all(x + NODE_WIDTH <= graph.width for x, _ in boxes)
    assert all(y + NODE_HEIGHT <= graph.height for _, y in boxes)
    for x, y in boxes:
        near = [o for o in boxes if abs(o[0] - x) < NODE_WIDTH and abs(o[1] - y) < NODE_HEIGHT]
        assert near == [(x, y)]


def test_a_cycle_is_drawn_and_ends() -> None:
    graph = closure_graph(closure_of({1: [2], 2: [1]}), [path(1)])

    assert len(graph.nodes) == 2


@pytest.mark.slow
def test_a_huge_closure_has_no_graph() -> None:
    references: dict[int, list[int]] = {n: [] for n in range(10_001)}

    graph = closure_graph(closure_of(references), [path(0)])

    assert (graph.nodes, graph.hidden) == ((), 10_001)

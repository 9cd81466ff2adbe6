"""Layers of images without a profile, or with one that has no cohorts."""

import pytest

from app.builder.images.layering.by_part import BAND, SHALLOW, SMALL
from app.builder.images.layering.grouping import plan_layers
from app.builder.images.layering.profile import LayerProfile, from_popularity
from app.builder.nix.closure import Closure, StoreObject
from tests.unit.builder.images.layering.closures import closure, store_path

MB = 1_000_000
BUDGET = 40
Graph = dict[str, tuple[int, list[str]]]


def package(name: str, sizes: list[int]) -> Graph:
    """A large package that refers to libraries of these sizes."""
    names = [f"{name}-lib{i}" for i in range(len(sizes))]
    libraries: Graph = {library: (size, []) for library, size in zip(names, sizes, strict=True)}
    return {name: (30 * MB, names), **libraries}


def cut(graph: Graph, budget: int = BUDGET, plan: LayerProfile | None = None) -> list[list[str]]:
    layers = plan_layers(closure(graph), plan, budget)
    return [[path.name for path in layer.paths] for layer in layers]


def libraries(name: str, first: int, last: int) -> list[str]:
    return sorted(f"{name}-lib{i}" for i in range(first, last + 1))


@pytest.mark.parametrize(("size", "layers"), [(SMALL - 1, 2), (SMALL, 11)])
def test_small_paths_of_a_part_share_a_layer(size: int, layers: int) -> None:
    assert len(cut(package("app", [size] * 10))) == layers


def test_small_paths_of_different_parts_do_not_share_a_layer() -> None:
    """An image without the other package has the same layers."""
    app, tool = package("app", [1] * 9), package("tool", [1] * 5)

    together = cut(app | tool)

    assert libraries("app", 0, 8) in together
    assert libraries("tool", 0, 4) in together
    assert [layer for layer in cut(app) if layer not in together] == []


def test_a_small_path_that_needs_many_has_its_own_layer() -> None:
    """It is rebuilt with each of them, and would renew the others of its layer."""
    graph = package("app", [1] * 6)
    graph["app-lib0"] = (1, ["app-lib1", "app-lib2"])
    graph["app-lib3"] = (1, ["app-lib1", "app-lib2", "app-lib4"])
    assert SHALLOW == 3

    layers = cut(graph)

    assert ["app-lib3"] in layers
    assert ["app-lib0", "app-lib1", "app-lib2", "app-lib4", "app-lib5"] in layers


def test_over_budget_paths_of_similar_size_share_layers_the_smallest_first() -> None:
    sizes = [BAND - 1] * 12 + [BAND] * 12 + [2 * BAND] * 12 + [9 * MB] * 9

    layers = cut(package("app", sizes))

    assert libraries("app", 0, 11) in layers
    assert all([name] in layers for name in libraries("app", 12, 44))
    assert ["app"] in layers


def test_over_budget_as_many_bands_share_layers_as_the_budget_requires() -> None:
    sizes = [BAND - 1] * 12 + [BAND] * 12 + [2 * BAND] * 12 + [9 * MB] * 9

    layers = cut(package("app", sizes), 23)

    assert libraries("app", 0, 11) in layers
    assert libraries("app", 12, 23) in layers
    assert libraries("app", 24, 35) in layers
    assert len(layers) == 13


def test_over_budget_paths_that_need_many_do_not_share_a_layer_with_those_that_need_few() -> None:
    graph = package("app", [BAND - 1] * 40)
    for number in range(10):
        graph[f"app-lib{number}"] = (BAND - 1, libraries("app", 37, 39))

    layers = cut(graph, 11)

    assert layers == [["app"], libraries("app", 10, 39), libraries("app", 0, 9)]


def test_images_over_budget_share_the_layers_of_a_part_they_have_in_common() -> None:
    language = package("language", [SMALL + i * 9999 for i in range(60)])
    one, other = package("one", [SMALL] * 11), package("other", [9 * MB] * 19)

    layers = cut(language | one)
    others = cut(language | other)

    shared = [layer for layer in layers if layer in others]
    assert {name for layer in shared for name in layer} == set(language)
    assert any(len(layer) > 1 for layer in shared)


def test_an_upgrade_renews_the_layer_of_the_changed_path_and_no_other() -> None:
    """With another version, and with the same version built again."""
    small = {f"small{i}": StoreObject(store_path(f"small{i}-1"), SMALL, ()) for i in range(50)}
    large = [StoreObject(store_path(f"large{i}-1"), 9 * MB, ()) for i in range(20)]
    before = set(plan_layers(Closure([*large, *small.values()]), None, BUDGET))

    for changed in (store_path("small7-2"), store_path("small7-1", "again")):
        upgraded = {**small, "small7": StoreObject(changed, SMALL, ())}
        after = plan_layers(Closure([*large, *upgraded.values()]), None, BUDGET)

        (renewed,) = set(after) - before
        assert changed in renewed.paths


def test_in_a_tight_budget_the_largest_layers_stay_below_one_for_the_rest() -> None:
    sizes = [1, 2, SMALL, BAND, 2 * BAND, 4 * BAND]

    layers = cut(package("app", sizes), 3)

    assert layers == [["app"], ["app-lib5"], libraries("app", 0, 4)]


def test_popularity_data_orders_the_layers_and_does_not_decide_what_they_share() -> None:
    graph = package("app", [9 * MB, 8 * MB, 1, 2])
    popularity = from_popularity({"app-lib1-1": 900, "other-1": 1000})

    layers, ordered = cut(graph), cut(graph, plan=popularity)

    assert sorted(layers) == sorted(ordered)
    assert layers[:2] == [["app"], ["app-lib0"]]
    assert ordered[:2] == [["app-lib1"], ["app"]]

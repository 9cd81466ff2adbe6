from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.builder.images.image import LayerPlan
from app.builder.images.layering.by_cohort import SMALL
from app.builder.images.layering.grouping import plan_layers
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.nix.closure import Closure, StoreObject, StorePath
from tests.unit.builder.images.layering.closures import closure, store_path

MB = 1_000_000
BUDGET = 94
# A plan that knows none of an image's packages.
FOREIGN = LayerProfile(1000, {"foreign": ProfileEntry(0, 1)})

# The example in Nixery's layers.go: E is popular, G is large, F is needed by D alone.
EXAMPLE = closure(
    {
        "A-1": (MB, ["E-1"]),
        "B-1": (MB, ["E-1"]),
        "C-1": (MB, ["E-1", "D-1"]),
        "D-1": (MB, ["F-1", "G-1"]),
        "E-1": (MB, []),
        "F-1": (MB // 4, []),
        "G-1": (200 * MB, []),
    }
)
EXAMPLE_PLAN = LayerProfile(
    1000,
    {
        "A": ProfileEntry(None, 1),
        "B": ProfileEntry(None, 1),
        "C": ProfileEntry(None, 2),
        "D": ProfileEntry(0, 10),
        "E": ProfileEntry(None, 900),
        "F": ProfileEntry(0, 11),
        "G": ProfileEntry(None, 12),
    },
)


def names(layers: tuple[LayerPlan, ...]) -> list[str]:
    return ["".join(path.name[0] for path in layer.paths) for layer in layers]


def test_the_example_of_nixery_is_cut_as_there() -> None:
    layers = plan_layers(EXAMPLE, EXAMPLE_PLAN, BUDGET)

    # F travels with D, which alone needs it; E and G, popular and large, do not.
    assert sorted(names(layers)) == ["A", "B", "C", "DF", "E", "G"]
    # What is large and used by many lies at the bottom, where a chain of layers is reused.
    assert names(layers)[:3] == ["G", "E", "DF"]


def test_the_example_of_nixery_without_a_plan_has_a_layer_for_each_path() -> None:
    assert sorted(names(plan_layers(EXAMPLE, None, BUDGET))) == list("ABCDEFG")


def test_the_example_of_nixery_without_a_plan_in_three_layers() -> None:
    # A and B are left when what C needs is a part of its own.
    assert names(plan_layers(EXAMPLE, None, 3)) == ["G", "AB", "CDEF"]


def test_over_budget_a_plan_bands_the_rest_by_use() -> None:
    users = {"everywhere": 500, "often": 50, "seldom": 5, "hardly": 1}
    small = {f"{name}{i}-1": (SMALL, ()) for name in users for i in range(2)}
    large = {f"large{i}-1": (MB, ()) for i in range(12)}
    plan = LayerProfile(
        1000,
        {
            **FOREIGN.entries,
            **{f"{n}{i}": ProfileEntry(None, users[n]) for n in users for i in range(2)},
        },
    )

    layers = plan_layers(closure(small | large), plan, 16)

    assert [[path.name for path in layer.paths] for layer in layers[12:]] == [
        ["everywhere0-1", "everywhere1-1"],
        ["often0-1", "often1-1"],
        ["seldom0-1", "seldom1-1"],
        ["hardly0-1", "hardly1-1"],
    ]


def test_use_counts_by_its_magnitude_and_size_by_its_bytes() -> None:
    users = {"everywhere": 900, "large": 3, "larger": 1}
    plan = LayerProfile(1000, {name: ProfileEntry(None, count) for name, count in users.items()})
    paths = {
        "everywhere-1": (MB, ()),
        "large-1": (6 * MB, ()),
        "larger-1": (9 * MB, ()),
    }

    layers = plan_layers(closure(paths), plan, BUDGET)

    # What nearly everybody uses lies higher than what is six times as large: 900 is ten binary
    # digits, 3 is two, 1 is one.
    assert [layer.paths[0].name for layer in layers] == ["large-1", "everywhere-1", "larger-1"]


def test_the_members_of_a_cohort_share_a_layer_whatever_their_size() -> None:
    plan = LayerProfile(9, {name: ProfileEntry(0, 3) for name in ("a", "c")})
    paths = closure({"a-1": (90 * MB, ()), "b-1": (90 * MB, ()), "c-1": (1, ())})

    layers = plan_layers(paths, plan, BUDGET)

    assert [[path.name for path in layer.paths] for layer in layers] == [["a-1", "c-1"], ["b-1"]]


def test_a_new_version_keeps_its_cohort() -> None:
    plan = LayerProfile(9, {"a": ProfileEntry(4, 3), "b-lib": ProfileEntry(4, 3)})

    layers = plan_layers(closure({"a-7.1": (5, ()), "b-0.3-lib": (5, ())}), plan, BUDGET)

    assert len(layers) == 1


def test_a_path_the_plan_does_not_know_has_the_users_of_its_referrers() -> None:
    plan = LayerProfile(100, {"app": ProfileEntry(None, 63)})
    paths = closure({"app-1": (SMALL, ["new-1"]), "new-1": (SMALL, []), "other-1": (SMALL, [])})

    layers = plan_layers(paths, plan, BUDGET)

    assert [layer.paths[0].name for layer in layers] == ["new-1", "app-1", "other-1"]


def test_paths_in_a_layer_are_sorted_by_name_then_hash() -> None:
    sizes = {"x": 5, "y": 7, "z": 6}
    twice = [StoreObject(store_path("b-1", salt), size, ()) for salt, size in sizes.items()]
    one = StoreObject(store_path("a-1"), 4, ())

    (layer,) = plan_layers(Closure([*twice, one]), None, 1)

    assert list(layer.paths) == sorted(layer.paths, key=lambda path: (path.name, path.base))
    assert layer.paths[0] == one.path


@pytest.mark.parametrize(("size", "layers"), [(299_999, 8), (300_000, 40)])
def test_a_path_of_a_third_of_a_megabyte_has_a_layer_of_its_own(size: int, layers: int) -> None:
    """In a shared layer it would be downloaded again with each path that changes beside it."""
    paths = closure({f"p{i}-1": (size, ()) for i in range(40)})

    assert len(plan_layers(paths, FOREIGN, BUDGET)) == layers


def test_small_paths_without_a_cohort_share_eight_layers_if_they_need_few_paths() -> None:
    """Those that need many are rebuilt often."""
    chain = {f"p{i}-1": (SMALL - 1, [f"p{i + 1}-1"] if i < 6 else []) for i in range(7)}
    leaves: dict[str, tuple[int, list[str]]] = {f"leaf{i}-1": (1, []) for i in range(60)}
    others = {"large-1": (SMALL, ["p0-1"]), "known-1": (1, [])}
    plan = LayerProfile(9, {"known": ProfileEntry(1, 1)})

    layers = plan_layers(closure({**chain, **leaves, **others}), plan, BUDGET)

    shared = {"p4-1", "p5-1", "p6-1", *leaves}  # the first three need 3, 2 and 1, with themselves
    cut = [{path.name for path in layer.paths} for layer in layers]
    assert set().union(*(names for names in cut if names <= shared)) == shared
    assert sum(names <= shared for names in cut) == 8
    alone = [{"known-1"}, {"large-1"}, {"p0-1"}, {"p1-1"}, {"p2-1"}, {"p3-1"}]
    assert all(names in cut for names in alone)


def test_a_new_version_of_a_small_path_replaces_the_old_one_in_the_same_layer() -> None:
    leaves: dict[str, tuple[int, list[str]]] = {f"leaf{i}-1": (1, []) for i in range(60)}
    others = {name: row for name, row in leaves.items() if name != "leaf0-1"}

    before = plan_layers(closure(leaves), FOREIGN, BUDGET)
    after = plan_layers(closure({**others, "leaf0-2": (1, [])}), FOREIGN, BUDGET)

    assert len(set(before) - set(after)) == 1


def test_an_empty_closure_has_no_layers() -> None:
    assert plan_layers(Closure([]), None, BUDGET) == ()


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        plan_layers(EXAMPLE, None, 0)


NAMES = st.sampled_from([f"{word}{i}" for word in "abcdef" for i in range(12)])


@st.composite
def closures(draw: st.DrawFn) -> Closure:
    packages = draw(
        st.lists(st.tuples(NAMES, st.integers(0, 9), st.integers(0, 10 * MB)), max_size=60)
    )
    paths = sorted({store_path(f"{name}-{version}") for name, version, _ in packages})
    sizes = {store_path(f"{name}-{version}"): size for name, version, size in packages}
    objects = []
    for place, path in enumerate(paths):
        below = draw(st.sets(st.integers(0, place - 1), max_size=4)) if place else set()
        objects.append(StoreObject(path, sizes[path], tuple(paths[i] for i in sorted(below))))
    return Closure(objects)


PLANS = st.none() | st.builds(
    LayerProfile,
    st.integers(1, 10**5),
    st.dictionaries(
        NAMES, st.builds(ProfileEntry, st.none() | st.integers(0, 9), st.integers(1, 10**5))
    ),
)


@pytest.mark.slow
@given(closures(), PLANS, st.integers(1, 30))
@example(EXAMPLE, EXAMPLE_PLAN, 1)
@example(EXAMPLE, EXAMPLE_PLAN, 5)
@example(EXAMPLE, None, 7)
def test_every_path_is_in_exactly_one_layer_within_the_budget(
    paths: Closure, plan: LayerProfile | None, budget: int
) -> None:
    layers = plan_layers(paths, plan, budget)

    packed = [path for layer in layers for path in layer.paths]
    assert sorted(packed) == list(paths.paths)
    assert len(layers) <= budget
    assert all(layer.paths for layer in layers)


@pytest.mark.slow
@given(closures(), PLANS, st.integers(1, 30), st.integers(0, 2**32))
def test_the_order_in_which_paths_and_entries_come_is_without_effect(
    paths: Closure, plan: LayerProfile | None, budget: int, seed: int
) -> None:
    objects = list(paths.objects.values())
    Random(seed).shuffle(objects)
    replanned = plan and LayerProfile(plan.packages, dict(reversed(list(plan.entries.items()))))

    assert plan_layers(Closure(objects), replanned, budget) == plan_layers(paths, plan, budget)


MEMBERS = [f"m{i}" for i in range(5)]


@st.composite
def shared_members(draw: st.DrawFn) -> list[StoreObject]:
    """Versions of packages that no other closure here has, large ones among them."""
    packages = draw(
        st.lists(
            st.tuples(st.sampled_from(MEMBERS), st.integers(0, 3), st.integers(0, 20 * MB)),
            min_size=2,
            max_size=6,
            unique_by=lambda package: package[:2],
        )
    )
    return [StoreObject(store_path(f"{name}-{v}"), size, ()) for name, v, size in packages]


@pytest.mark.slow
@given(shared_members(), closures(), closures(), PLANS.filter(bool))
def test_a_cohort_within_budget_has_the_same_layers_in_every_company(
    shared: list[StoreObject], company: Closure, other: Closure, plan: LayerProfile
) -> None:
    """Sharing rests on this: two images that hold the same cohort have the same layers."""
    cohort = {name: ProfileEntry(10, 7) for name in MEMBERS}
    plan = LayerProfile(plan.packages, {**plan.entries, **cohort})

    layers = [
        {
            layer.paths
            for layer in plan_layers(Closure([*shared, *those.objects.values()]), plan, 99)
        }
        for those in (company, other)
    ]

    wanted = {item.path for item in shared}
    mine, theirs = ({paths for paths in each if wanted & set(paths)} for each in layers)
    assert mine == theirs
    assert {path for paths in mine for path in paths} == wanted


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        None,
        LayerProfile(
            1000,
            {**FOREIGN.entries, **{f"p{i}": ProfileEntry(None, 1 + i % 900) for i in range(200)}},
        ),
    ],
)
def test_the_budget_is_never_exceeded_for_1_to_200_paths(plan: LayerProfile | None) -> None:
    for count in range(1, 201):
        paths = closure({f"p{i}-1": (SMALL + i * 7919 % 1000, ()) for i in range(count)})
        for budget in (1, 2, 3, 5, 16, 94, 120):
            layers = plan_layers(paths, plan, budget)

            assert_complete(paths, layers, budget)
            if plan:
                assert_largest_alone(paths, layers, budget)


def assert_complete(paths: Closure, layers: tuple[LayerPlan, ...], budget: int) -> None:
    """Each path is in one layer, and in its own if the budget allows it."""
    assert len(layers) <= budget
    assert sorted(path for layer in layers for path in layer.paths) == list(paths.paths)
    if len(paths) <= budget:
        assert len(layers) == len(paths)


def assert_largest_alone(paths: Closure, layers: tuple[LayerPlan, ...], budget: int) -> None:
    """With a plan that knows no cohort of the image, the budget is used up by the largest paths."""
    if len(paths) <= budget:
        return
    sizes: Mapping[StorePath, int] = {p: o.nar_size for p, o in paths.objects.items()}
    alone = [layer.paths[0] for layer in layers if len(layer.paths) == 1]
    together = [path for layer in layers if len(layer.paths) > 1 for path in layer.paths]
    assert len(layers) > budget - 4
    # Nothing that shares a layer is larger than what has one of its own, but for what happens to
    # be by itself among the last.
    largest = max(sizes[path] for path in together)
    assert sum(sizes[path] >= largest for path in alone) >= min(len(alone), budget - 4)

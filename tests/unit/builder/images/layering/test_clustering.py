from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.builder.images.layering.client_time import ClientTime, Group, Usage
from app.builder.images.layering.clustering import cohorts_of

SAMPLES = 200
MB = 1_000_000


def images(*held: int) -> int:
    return sum(1 << image for image in held)


def usage(held: range | set[int], size: int = MB // 10, causes: int = 0) -> Usage:
    return Usage(images(*held), size, causes)


def together(names: Mapping[str, Usage]) -> list[list[str]]:
    cohorts: dict[int, list[str]] = {}
    for name, cohort in sorted(cohorts_of(names, SAMPLES).items()):
        cohorts.setdefault(cohort, []).append(name)
    return sorted(cohorts.values())


def test_names_of_the_same_images_share_a_layer_and_names_that_never_meet_do_not() -> None:
    names = {"a": usage(range(50)), "b": usage(range(50)), "c": usage(range(100, 150))}

    assert together(names) == [["a", "b"], ["c"]]


def test_a_small_name_joins_what_is_often_with_it_and_a_large_one_does_not() -> None:
    """Without it, the images that lack it would download the other again."""
    common, rarer = range(100), range(60)

    assert together({"a": usage(common), "b": usage(rarer)}) == [["a", "b"]]
    assert together({"a": usage(common, 40 * MB), "b": usage(rarer)}) == [["a"], ["b"]]


def test_a_name_that_is_rebuilt_often_does_not_join_what_stays() -> None:
    common, rarer, size = range(100), range(30), 7 * MB
    stays = {"a": usage(common, size), "b": usage(rarer, size)}
    rebuilt = {"a": usage(common, size), "b": usage(rarer, size, causes=images(*range(60)))}

    assert together(stays) == [["a", "b"]]
    assert together(rebuilt) == [["a"], ["b"]]


def test_names_of_the_same_images_that_are_rebuilt_apart_have_layers_of_their_own() -> None:
    """An update of one would be a download of both."""
    held, size = range(50), 30 * MB
    names = {
        "often": usage(held, size, causes=images(*range(40))),
        "seldom": usage(held, size),
        "seldom-too": usage(held, size),
    }

    assert together(names) == [["often"], ["seldom", "seldom-too"]]


def test_no_name_is_better_placed_in_another_group() -> None:
    """Groups that were united early are looked at again, when the others are known."""
    drawn = Random(7)
    model = ClientTime(SAMPLES)
    for _ in range(8):
        chances = [drawn.choice((0.1, 0.5, 0.8, 0.95)) for _ in range(3)]
        tops = [{i for i in range(SAMPLES) if drawn.random() < chance} for chance in chances]
        names = {
            f"p{number}": usage(
                drawn.choice(tops) ^ {drawn.randrange(SAMPLES) for _ in range(drawn.randrange(9))},
                drawn.randrange(4 * MB),
                causes=drawn.getrandbits(3),
            )
            for number in range(14)
        }
        groups = together(names)

        for name in names:
            [home] = [group for group in groups if name in group]
            own = model.start([name], names)
            rest = [other for other in home if other != name]
            saved = own.cost + seconds(rest, names, model) - seconds(home, names, model)
            assert saved >= 0
            for group in groups:
                if group is not home and joined(group, names, model).images & own.images:
                    assert model.gain(joined(group, names, model), own) <= saved + 1e-12


def joined(members: list[str], names: Mapping[str, Usage], model: ClientTime) -> Group:
    found = model.start(members[:1], names)
    for name in members[1:]:
        union = model.merge(found, model.start([name], names))
        assert union is not None
        found = union
    return found


def seconds(members: list[str], names: Mapping[str, Usage], model: ClientTime) -> float:
    return joined(members, names, model).cost if members else 0.0


def test_rare_names_are_grouped_with_those_of_the_same_images_only() -> None:
    names = {"a": usage({1}), "b": usage({1}), "c": usage({1, 2}), "d": usage(range(50))}

    assert together(names) == [["a", "b"], ["c"], ["d"]]


def test_many_independent_names_do_not_become_one_layer() -> None:
    """Each combination of them would be another layer."""
    drawn = Random(1)
    names = {
        f"p{number}": usage({i for i in range(SAMPLES) if drawn.random() < 0.3}, 2 * MB)
        for number in range(12)
    }

    assert max(map(len, together(names))) <= 3


@st.composite
def usages(draw: st.DrawFn) -> Mapping[str, Usage]:
    kinds = draw(st.lists(st.sets(st.integers(0, 40), min_size=1), min_size=1, max_size=5))
    count = draw(st.integers(1, 20))
    return {
        f"p{number}": Usage(
            images(*(draw(st.sampled_from(kinds)) ^ draw(st.sets(st.integers(0, 40), max_size=2))))
            or 1,
            draw(st.integers(0, 8 * MB)),
            draw(st.integers(0, 2**12)),
        )
        for number in range(count)
    }


@pytest.mark.slow
@given(usages(), st.integers(0, 2**32))
@settings(max_examples=40)
def test_every_name_has_one_cohort_whatever_the_order(
    names: Mapping[str, Usage], seed: int
) -> None:
    shuffled = list(names.items())
    Random(seed).shuffle(shuffled)

    cohorts = cohorts_of(names, 41)

    assert cohorts.keys() == names.keys()
    assert set(cohorts.values()) == set(range(len(set(cohorts.values()))))
    assert cohorts_of(dict(shuffled), 41) == cohorts

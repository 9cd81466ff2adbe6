from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.builder.images.layering.cooccurrence import TAU, cohorts_of


def images(*held: int) -> int:
    return sum(1 << image for image in held)


@pytest.mark.parametrize(
    ("other", "are_together"),
    [
        (images(*range(10)), True),
        (images(*range(9)), True),
        (images(*range(8)), True),  # 8 of 10: four fifths, just
        (images(*range(8), 10), False),  # 8 of 11
        (images(*range(1, 11)), True),  # 9 of 11
        (images(*range(7)), False),
        (images(*range(20, 30)), False),
    ],
)
def test_names_that_share_four_fifths_of_their_images_are_a_cohort(
    other: int, *, are_together: bool
) -> None:
    found = cohorts_of({"a": images(*range(10)), "b": other})

    assert found == ({"a": 0, "b": 0} if are_together else {})


@st.composite
def similar_names(draw: st.DrawFn) -> Mapping[str, int]:
    """Several names around each of a few sets of images, none of them in no image."""
    kinds = draw(st.lists(st.sets(st.integers(0, 40), min_size=3), min_size=1, max_size=4))
    count = draw(st.integers(1, 25))
    return {
        f"p{number}": images(*(draw(st.sampled_from(kinds)) ^ changed)) or 1
        for number, changed in enumerate(
            draw(st.lists(st.sets(st.integers(0, 40), max_size=3), min_size=count, max_size=count))
        )
    }


def compared_with_every_leader(images: Mapping[str, int]) -> list[set[str]]:
    cohorts: list[tuple[int, set[str]]] = []
    for name in sorted(images, key=lambda name: (-images[name].bit_count(), name)):
        held = images[name]
        similar = [
            (Fraction((held & leader).bit_count(), (held | leader).bit_count()), place)
            for place, (leader, _) in enumerate(cohorts)
        ]
        best, place = max(similar, default=(Fraction(0), 0))
        if best >= Fraction(str(TAU)):
            cohorts[place][1].add(name)
        else:
            cohorts.append((held, {name}))
    return [names for _, names in cohorts if len(names) > 1]


@given(similar_names())
@example({"a": images(*range(1, 11)), "b": images(*range(10))})
@example({"a": images(*range(10)), "b": images(*range(1, 11))})
def test_the_nearest_leader_is_found_without_looking_at_all(images: Mapping[str, int]) -> None:
    found: dict[int, set[str]] = {}
    for name, cohort in cohorts_of(images).items():
        found.setdefault(cohort, set()).add(name)

    assert [found[cohort] for cohort in sorted(found)] == compared_with_every_leader(images)
    assert sorted(found) == list(range(len(found)))

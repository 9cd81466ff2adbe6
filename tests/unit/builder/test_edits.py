"""Mistakes of typing, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.edits import common, distance

WORDS = st.text("abc", max_size=7)


@pytest.mark.parametrize(
    ("one", "other", "mistakes"),
    [
        ("git", "git", 0),
        ("gitt", "git", 1),
        ("helo", "hello", 1),
        ("hwllo", "hello", 1),
        ("hlelo", "hello", 1),
        ("ehllo", "hello", 1),
        ("htpo", "htop", 1),
        ("htpo", "hto", 1),
        ("crul", "curl", 1),
        ("ab", "ba", 1),
        ("abc", "ca", 3),
        ("", "ab", 2),
        ("kitten", "sitting", 3),
    ],
)
def test_each_mistake_counts_one(one: str, other: str, mistakes: int) -> None:
    assert distance(one, other, 3) == distance(other, one, 3) == mistakes


@given(WORDS, WORDS)
def test_a_limit_hides_what_is_beyond_it_and_changes_nothing_else(one: str, other: str) -> None:
    exact = distance(one, other, 7)

    assert exact is not None
    for most in range(4):
        assert distance(one, other, most) == (exact if exact <= most else None)


@given(WORDS, WORDS)
def test_it_is_the_same_in_both_directions_and_none_only_for_the_same(one: str, other: str) -> None:
    assert distance(one, other, 7) == distance(other, one, 7)
    assert (distance(one, other, 7) == 0) is (one == other)


def test_what_two_words_begin_with_is_counted() -> None:
    assert (common("python3", "python2"), common("a", "b"), common("", "x")) == (6, 0, 0)

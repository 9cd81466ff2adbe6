"""Mistakes of typing, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.names.edits import common, distance

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


def by_the_book(one: str, other: str) -> int:
    """The whole table, as the definition has it."""
    rows = [[i + j for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            rows[i][j] = min(
                rows[i - 1][j] + 1,
                rows[i][j - 1] + 1,
                rows[i - 1][j - 1] + (one[i - 1] != other[j - 1]),
            )
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 1] + other[j - 2]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@given(WORDS, WORDS, st.integers(0, 3))
def test_up_to_the_limit_it_is_what_the_definition_says(one: str, other: str, most: int) -> None:
    exact = by_the_book(one, other)

    assert distance(one, other, most) == (exact if exact <= most else None)


def test_what_two_words_begin_with_is_counted() -> None:
    assert (common("python3", "python2"), common("a", "b"), common("", "x")) == (6, 0, 0)

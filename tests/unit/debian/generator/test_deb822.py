import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix.debian.generator.deb822 import formatted, paragraphs


def read(text: str) -> list[dict[str, str]]:
    return list(paragraphs(text.splitlines(keepends=True)))


def test_paragraphs_are_separated_by_any_number_of_blank_lines() -> None:
    assert read("\n\nA: 1\nB: 2\n\n \n\nA: 3\n") == [{"A": "1", "B": "2"}, {"A": "3"}]


def test_continuation_line_belongs_to_the_field_before_it() -> None:
    assert read("Signed-By:\n -----BEGIN-----\n .\n mQINBF\nTypes: deb\n") == [
        {"Signed-By": "\n -----BEGIN-----\n .\n mQINBF", "Types": "deb"}
    ]


def test_comments_are_ignored_even_between_continuation_lines() -> None:
    assert read("# first\nA: 1\n# within\n more\n") == [{"A": "1\n more"}]


def test_value_may_contain_colons() -> None:
    assert read("URIs: mirror+file:/etc/apt/list\n") == [{"URIs": "mirror+file:/etc/apt/list"}]


def test_continuation_line_without_a_field_is_ignored() -> None:
    assert read(" lost\nA: 1\n") == [{"A": "1"}]


names = st.builds(
    lambda first, more: first + more, st.sampled_from("ABXZ"), st.text("abz-", max_size=10)
)
lines = st.text("az09:.,| ", min_size=1, max_size=20).map(str.strip).filter(bool)
values = st.builds(
    lambda first, more: "\n ".join([first, *more]),
    lines,
    st.lists(st.text("az.", min_size=1, max_size=10), max_size=3),
)


@pytest.mark.slow
@given(st.dictionaries(names, values, min_size=1))
def test_formatted_paragraph_reads_back_the_same(fields: dict[str, str]) -> None:
    assert read(formatted(fields)) == [fields]

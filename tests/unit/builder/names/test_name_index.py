"""The search, and the names that were probably meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.names.name_index import NameIndex, best_of, typed
from app.reference import RepositoryName

NAMES = (
    "_2ping",
    "bashInteractive",
    "curl",
    "git",
    "gitMinimal",
    "hello",
    "htop",
    "nodejs_20",
    "perlPackages.Moo",
    "plus++",
    "postgresql",
    "python2Packages.numpy",
    "python310Packages.numpy",
    "python3Packages.numpy",
    "python3Packages.requests",
    "lego",
)
INDEX = NameIndex.of(NAMES)


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("hello", "hello"),
        ("bashInteractive", "bashinteractive"),
        ("_2ping", "2ping"),
        ("python3Packages._3to2", "python3packages.3to2"),
        ("with-dash_and__two", "with-dash_and__two"),
        ("plus++", None),
        ("_hidden", None),
        ("a/b", None),
        ("", None),
        ("x" * 101, None),
        ("new\nline", None),
    ],
)
def test_names_have_the_form_of_image_names(attribute: str, text: str | None) -> None:
    assert typed(attribute) == text


@pytest.mark.parametrize(
    ("unknown", "best"),
    [
        ("gitt", "git"),
        ("helo", "hello"),
        ("hlelo", "hello"),
        ("2pin", "2ping"),
        ("bashinteractiv", "bashinteractive"),
        ("numpy", "python3packages.numpy"),
        ("python3packages.numpi", "python3packages.numpy"),
        ("python310packages.nunpy", "python310packages.numpy"),
        ("pyton3packages.request", "python3packages.requests"),
        ("nodejs", "nodejs_20"),
        ("postgresql15", "postgresql"),
        ("interactive", "bashinteractive"),
        ("moo", "perlpackages.moo"),
    ],
)
def test_what_was_probably_meant_comes_first(unknown: str, best: str) -> None:
    assert INDEX.suggest(unknown, 3)[0] == best


@pytest.mark.parametrize("unknown", ["zzzzzzzz", "q", "", "x" * 255, "ackages", "python3"])
def test_a_text_that_resembles_no_name_has_no_suggestions(unknown: str) -> None:
    assert INDEX.suggest(unknown, 3) == ()


def test_short_texts_are_not_taken_for_other_short_names() -> None:
    assert NameIndex.of(["ed", "jq", "vi"]).suggest("vj", 3) == ()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("git", ("git", "gitminimal")),
        ("GIT", ("git", "gitminimal")),
        ("_2ping", ("2ping",)),
        ("requests", ("python3packages.requests",)),
        (
            "python3packages.",
            ("python3packages.numpy", "python3packages.requests"),
        ),
        ("inter", ("bashinteractive",)),
        ("crul", ("curl",)),
        ("lo", ()),
        ("no such thing", ()),
    ],
)
def test_the_search_finds_the_name_its_beginning_a_part_and_what_is_like_it(
    query: str, found: tuple[str, ...]
) -> None:
    assert INDEX.search(query, 20) == found


def test_the_exact_name_comes_before_shorter_and_nested_ones() -> None:
    index = NameIndex.of(["a.go", "go", "gox", "g", "algo"])

    assert index.search("go", 3) == ("go", "a.go", "gox")


@pytest.mark.slow
@given(
    st.lists(st.text("abcA_.1-+\n/é", max_size=8), max_size=30),
    st.text(max_size=120) | st.text("abcA_.1-", max_size=10),
    st.integers(1, 5),
)
def test_any_text_gives_a_bounded_list_of_valid_names(
    names: list[str], text: str, limit: int
) -> None:
    index = NameIndex.of(names)

    for found in (index.suggest(text, limit), index.search(text, limit)):
        assert len(found) == len(set(found)) <= limit
        assert set(found) <= set(index.names)
        for name in found:
            RepositoryName.parse(name)


@pytest.mark.slow
@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=20), st.data())
def test_every_name_is_found_by_itself_and_by_its_beginning(
    names: list[str], data: st.DataObject
) -> None:
    index = NameIndex.of(names)
    name = data.draw(st.sampled_from(names))

    assert index.search(name, 1) == (name,)
    assert name in index.search(name[:-1] or name, 100)


@pytest.mark.parametrize(
    "name",
    ["helo", "3ping", "python3packages.numpi", "python3packages.numpi.dev", "python3packages"],
)
def test_an_unlisted_name_is_not_a_package(name: str) -> None:
    assert INDEX.lacks(name)


@pytest.mark.parametrize(
    "name",
    [
        *("hello", "2ping", "_2ping", "bashinteractive", "bashInteractive", "nodejs_20"),
        *("python3packages.numpy", "perlpackages.moo"),
        "git.doc",  # packages have outputs
        "python3packages.numpy.dev",
        "rubypackages.rails",  # a set that is not listed
    ],
)
def test_what_the_names_do_not_rule_out_may_be_a_package(name: str) -> None:
    assert not INDEX.lacks(name)


def test_a_name_that_is_too_long_for_the_index_is_lacking_if_no_attribute_is_so_long() -> None:
    assert INDEX.lacks("x" * 101)
    assert not NameIndex.of(["hello", "y" * 101]).lacks("x" * 101)


def test_lists_are_merged_by_the_best_place_of_a_name() -> None:
    own, other = ("a", "b", "c", "d"), ("x", "a", "b", "y")

    assert best_of([own, other], 9) == ("a", "x", "b", "c", "d", "y")
    assert best_of([own, own], 3) == ("a", "b", "c")
    assert best_of([(), other], 2) == ("x", "a")

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NameInvalid
from app.reference import RepositoryName
from app.request import (
    ALWAYS,
    COMPONENT_LIMIT,
    SHELL,
    ImageRequest,
    UnfinishedName,
    spelling,
)

COMPONENTS = st.lists(
    st.sampled_from(["git", "htop", "shell", "arm64", "nonroot", "python3packages.numpy"]),
    min_size=1,
    max_size=5,  # twice as many longest ones still make a name of legal length
)


SOURCES = ("team", "own")


def parse(name: str, *sources: str) -> ImageRequest:
    return ImageRequest.parse(RepositoryName.parse(name), sources=sources, system="x86_64-linux")


@pytest.mark.slow
@given(COMPONENTS, st.randoms())
def test_order_and_repetition_do_not_matter(components: list[str], random: Random) -> None:
    shuffled = components * 2
    random.shuffle(shuffled)

    assert parse("/".join(shuffled)) == parse("/".join(components))


def test_certificates_and_service_names_are_in_every_image() -> None:
    assert parse("git").packages == ("cacert", "git", "iana-etc")


def test_packages_of_every_image_are_not_requested_by_the_name() -> None:
    request = parse("git/cacert/shell/bashinteractive")

    assert request.named == {"git", "cacert"}
    assert request.supplied == tuple(sorted({*SHELL, "iana-etc"}))


def test_meta_packages_count_anywhere_and_are_not_packages() -> None:
    request = parse("git/shell/nonroot/few-layers/arm64")

    assert request.packages == tuple(sorted({"git", *SHELL, *ALWAYS}))
    assert request.nonroot
    assert request.few_layers
    assert request.system == "aarch64-linux"


def test_a_meta_package_of_libraries_does_not_request_a_shell() -> None:
    assert parse("shell/foreign").interactive
    assert not parse("foreign/git").interactive
    assert "glibc" in parse("foreign/glibc").packages


def test_the_shell_named_twice_in_two_spellings_is_one_shell() -> None:
    assert parse("shell/bashinteractive") == parse("shell")


def test_without_an_architecture_the_image_is_for_the_default_system() -> None:
    assert parse("git").system == "x86_64-linux"
    assert parse("amd64/git") == replace(parse("git"), one_system=True)


def test_two_architectures_are_refused() -> None:
    with pytest.raises(NameInvalid, match="amd64 and arm64"):
        parse("arm64/amd64/git")


def test_a_first_component_may_name_a_source() -> None:
    request = parse("stable/git", "stable")

    assert request.source == "stable"
    assert "stable" not in request.packages


def test_a_source_is_named_by_the_first_component_only() -> None:
    request = parse("git/stable", "stable")

    assert request.source is None
    assert "stable" in request.packages


def test_packages_whose_names_join_to_the_same_text_are_different() -> None:
    assert parse("ab/c") != parse("a/bc")


@pytest.mark.slow
@given(st.lists(st.sampled_from(["shell", "nonroot", "git", "jq", "team", "own"]), min_size=1))
def test_the_spelling_of_a_name_requests_the_same(components: list[str]) -> None:
    name = RepositoryName("/".join(components[:COMPONENT_LIMIT]))

    one = spelling(name, sources=SOURCES)

    assert parse(str(one), *SOURCES) == parse(str(name), *SOURCES)
    assert spelling(one, sources=SOURCES) == one


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("git/jq/shell/git", "shell/git/jq"),
        ("jq/arm64/git", "arm64/git/jq"),
        ("team/jq/git", "team/git/jq"),
        ("zsh/team", "zsh/team"),
        ("team/team", "team/team"),
    ],
)
def test_names_with_the_same_components_have_one_spelling(name: str, one: str) -> None:
    assert str(spelling(RepositoryName(name), sources=SOURCES)) == one


def test_very_many_components_are_refused() -> None:
    with pytest.raises(NameInvalid, match="at most 64"):
        parse("/".join(["a"] * 65))


@pytest.mark.parametrize(
    ("text", "source", "system", "last"),
    [
        ("ht", None, None, "ht"),
        ("shell/git/ht", None, None, "ht"),
        ("team/ht", "team", None, "ht"),
        ("team/arm64/", "team", "aarch64-linux", ""),
        ("team", None, None, "team"),  # perhaps it goes on: teamspeak
        ("git/team/ht", None, None, "ht"),
    ],
)
def test_the_last_component_of_an_unfinished_name_is_incomplete(
    text: str, source: str | None, system: str | None, last: str
) -> None:
    name = UnfinishedName.parse(text, sources=("team",))

    assert name == UnfinishedName(source, system, last)

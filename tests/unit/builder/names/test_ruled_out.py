"""Which names a listing rules out, so that Nix is not started for them."""

import pytest

from app.builder.names.attribute_names import AttributeNames
from app.builder.names.suggestions import ListedNames


def listed(**names: tuple[str, ...]) -> ListedNames:
    parts: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("packages", "nested", "unlooked", "sets", "others"), ()
    )
    return ListedNames.of(AttributeNames(**{**parts, **names}, complete=True))


NAMES = listed(
    packages=("hello", "_7zz", "Foo", "both"),
    nested=("python3Packages.numpy", "foo.bar", "both.inner"),
    unlooked=("slow",),
    sets=("lib", "haskellPackages"),
    others=("callPackage", "aborts"),
)


@pytest.mark.parametrize(
    "name", ["nope", "hell", "nope.inner", "python3packages.nope", "7zzz", "x" * 101]
)
def test_a_name_that_nothing_has_is_ruled_out(name: str) -> None:
    assert NAMES.rules_out(name)


@pytest.mark.parametrize(
    "name",
    [
        "hello",
        "7zz",
        "python3packages.numpy",
        "python3packages.numpy.override",
        # Attributes of a package are not listed, nor those of sets that are not marked.
        "hello.dev",
        "haskellpackages.lens",
        "lib.version",
        # Nix reports what these are, or why they fail.
        "lib",
        "python3packages",
        "callpackage",
        "aborts",
        "slow",
        "slow.inner",
        # Several attributes have this name, which Nix reports.
        "foo",
        "foo.other",
        "both.other",
    ],
)
def test_a_name_that_may_be_something_is_not_ruled_out(name: str) -> None:
    assert not NAMES.rules_out(name)


def test_an_incomplete_listing_rules_out_nothing() -> None:
    names = AttributeNames(("hello",), (), (), (), (), complete=False)

    assert not ListedNames.of(names).rules_out("nope")


def test_names_that_are_too_long_for_the_listing_are_left_to_nix() -> None:
    names = listed(packages=("hello", "y" * 101))

    assert not names.rules_out("x" * 101)
    assert names.rules_out("x" * 100)

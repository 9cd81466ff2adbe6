"""Rules for all sources of a server together."""

from pathlib import Path

import pytest

from app.builder.sources.definition import (
    Definition,
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
)
from app.builder.sources.definitions import check_definitions

GIT = GitDefinition(name="set", location="https://git.example.org/set.git", default=True)
FLAKE = FlakeDefinition(name="flake", location="https://git.example.org/flake.git")


def searching(target: str, **fields: object) -> PathDefinition:
    return PathDefinition.model_validate(
        {"name": "own", "location": Path("/srv/own"), "search_path": {"nixpkgs": target}, **fields}
    )


def test_sources_that_fit_together_are_accepted() -> None:
    check_definitions([GIT, FLAKE, searching("set", base="flake")])


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([GIT, GIT.model_copy(update={"default": False})], "two sources are called set"),
        ([GIT, FLAKE.model_copy(update={"default": True})], "only one source can be the default"),
        (
            [GIT, FLAKE.model_copy(update={"base": "absent"})],
            "source flake has base absent, which is not a source; the sources are set, flake",
        ),
        (
            [GIT, searching("absent")],
            "<nixpkgs> in the search path of source own is source absent, which does not exist",
        ),
        (
            [FLAKE, searching("flake")],
            "<nixpkgs> in the search path of source own is source flake, which is a flake",
        ),
    ],
)
def test_sources_that_do_not_fit_together_are_rejected(
    definitions: list[Definition], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_definitions(definitions)

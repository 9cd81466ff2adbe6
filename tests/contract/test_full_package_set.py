"""The full set, resolved and seeded on this machine: its programs run."""

from pathlib import Path

import pytest

from tests.contract.full_programs import FULL
from tests.contract.isolation import run_isolated
from tests.contract.programs import COMPANIONS, SMALL
from tests.contract.stores import build, closure, evaluate, prepare

pytestmark = [pytest.mark.e2e, pytest.mark.full]


@pytest.fixture(scope="module")
def full() -> Path:
    return prepare("--full")


@pytest.mark.parametrize("attribute", sorted(FULL))
def test_a_program_of_the_full_set_runs_where_nothing_but_its_closure_is(
    full: Path, attribute: str
) -> None:
    command, expected = FULL[attribute]
    packages = build(full, dict.fromkeys((attribute, *COMPANIONS)))
    outcome = run_isolated(packages, closure(packages), command)
    assert outcome.status == 0, outcome.output
    assert expected in outcome.output


def test_every_attribute_of_the_full_set_has_a_program_that_is_run(full: Path) -> None:
    attributes = evaluate(f"builtins.attrNames (import {full} {{ }}).debian.data.attributes")
    assert isinstance(attributes, list)
    without = {"bash", "gitMinimal", "zlib", "xorg.libX11"}
    assert set(attributes) - FULL.keys() - SMALL.keys() - without == set()


def test_the_small_sets_packages_have_the_same_paths_in_the_full_one(full: Path) -> None:
    small = prepare()
    for attribute in ("git", "python3", "nginx"):
        assert build(full, [attribute]) == build(small, [attribute])

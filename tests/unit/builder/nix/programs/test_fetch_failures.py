"""Hosts that cannot be reached, in the texts of several versions of Nix."""

import pytest

from app.builder.nix.door import Flake
from app.builder.nix.programs.fetch_failures import missing_input, unreachable

REPOSITORY = "http://git.example.org/x.git/"
REFUSED = f"fatal: unable to access '{REPOSITORY}': Failed to connect to git.example.org port 80"
ABSENT = "fatal: couldn't find remote ref refs/heads/master"
ENDED = {
    "2.8": "error: program 'git' failed with exit code 128",
    "2.26": "error: resolving Git reference 'master': revspec 'master' not found",
}


@pytest.mark.parametrize("version", ENDED)
def test_a_git_host_that_cannot_be_reached_is_named(version: str) -> None:
    stderr = f"{REFUSED}\n{ENDED[version]}"

    assert unreachable(ENDED[version], stderr) == REPOSITORY


@pytest.mark.parametrize("version", ENDED)
def test_a_branch_that_a_host_does_not_have_is_another_failure(version: str) -> None:
    stderr = f"{ABSENT}\n{ENDED[version]}"

    assert unreachable(ENDED[version], stderr) is None


FLAKE = Flake("", "", 0, places=(("library", "/srv/library"), ("other", "/srv")))
MISSING = {
    "2.8": "error: getting status of '/srv/library': No such file or directory",
    "2.26": "error: path '//srv/library' does not exist",
}


@pytest.mark.parametrize("version", MISSING)
def test_an_input_whose_path_is_missing_is_named(version: str) -> None:
    shown = MISSING[version].replace("//", "/").replace("/srv/", "")

    assert missing_input(shown, MISSING[version], FLAKE) == "library"


@pytest.mark.parametrize(
    ("shown", "stderr", "flake"),
    [
        ("undefined variable", f"warning: {MISSING['2.8']}", FLAKE),
        ("path 'x' does not exist", "error: path '/srv/x' does not exist", FLAKE),
        (MISSING["2.8"], MISSING["2.8"], None),
    ],
)
def test_other_missing_files_are_not_inputs(shown: str, stderr: str, flake: Flake | None) -> None:
    assert missing_input(shown, stderr, flake) is None

"""Hosts that cannot be reached, in the texts of several versions of Nix."""

import pytest

from app.builder.nix.programs.fetch_failures import unreachable

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

"""Inputs of flakes that cannot be fetched, in the texts of several versions of Nix."""

import pytest

from app.builder.nix.door import Flake
from app.builder.nix.programs.input_failures import (
    input_at,
    missing_input,
    not_a_flake,
    refused,
)

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


PLACES = {
    "web": "https://git.example.org/web",
    "mirror": "https://mirror.example.org:8443/mirror",
    "keys": "ssh://git@ssh.example.org:2222/keys",
    "local": "file:///srv/local",
    "odd": "https://[",
}
BRANCHES = (("local", "gone"), ("web", "old"), ("keys", "both"), ("mirror", "both"))
INPUTS = Flake("", "", 0, places=tuple(PLACES.items()), branches=BRANCHES)
ENDED = {
    "2.8": "program 'git' failed with exit code 128",
    "2.26": "resolving Git reference 'master': revspec 'master' not found",
    "2.34": "Failed to fetch git repository 'x'",
}
ACCESS = "the host refuses access without credentials"
NONE = "the repository does not exist, or access is denied"


@pytest.mark.parametrize("version", ENDED)
@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (
            "fatal: could not read Username for 'https://git.example.org': No such device or address",
            f"its input web cannot be fetched: {ACCESS}",
        ),
        (
            "fatal: could not read Password for 'https://me@mirror.example.org:8443': No such device",
            f"its input mirror cannot be fetched: {ACCESS}",
        ),
        (
            "fatal: unable to access 'https://git.example.org/web/': The requested URL returned error: 403",
            f"its input web cannot be fetched: {ACCESS}",
        ),
        (
            "git@ssh.example.org: Permission denied (publickey).\nfatal: Could not read from remote",
            f"its input keys cannot be fetched: {ACCESS}",
        ),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            "a repository cannot be fetched: ssh does not know the host's key",
        ),
        (
            "fatal: repository 'https://git.example.org/web/' not found",
            f"its input web cannot be fetched: {NONE}",
        ),
        (
            "fatal: '/srv/local' does not appear to be a git repository",
            f"its input local cannot be fetched: {NONE}",
        ),
        (
            "fatal: ambiguous argument 'no': unknown revision or path not in the working tree.",
            "a repository cannot be fetched: it has no such branch, tag or commit",
        ),
        (
            "fatal: ambiguous argument 'gone': unknown revision or path not in the working tree.",
            "its input local cannot be fetched: it has no such branch, tag or commit",
        ),
        (
            "fatal: couldn't find remote ref refs/heads/old",
            "its input web cannot be fetched: it has no such branch, tag or commit",
        ),
        (
            "fatal: couldn't find remote ref refs/heads/both",
            "a repository cannot be fetched: it has no such branch, tag or commit",
        ),
    ],
)
def test_a_refusal_names_the_input_and_the_reason(
    printed: str, expected: str, version: str
) -> None:
    message = ENDED[version]

    assert refused(message, f"{printed}\nerror: {message}", INPUTS) == expected


GONE = {
    "2.8": "Cannot find Git revision '11' in ref 'main' of repository '/srv/local'! Please make sure",
    "2.26": "getting Git object '11': object not found - no match for id (11)",
    "2.34": "getting Git object '11': object not found - no match for id (11) (libgit2 error code = 9)",
}
WHILE = (
    "… while updating the flake input 'target'\n\n… while updating the flake input 'target/local'"
)


@pytest.mark.parametrize("version", GONE)
def test_a_commit_that_a_repository_does_not_have_is_explained(version: str) -> None:
    message = GONE[version]
    stderr = f"error: {message}" if version == "2.8" else f"error:\n{WHILE}\n\nerror: {message}"

    assert refused(message, stderr.replace("'/srv", "'file:///srv"), INPUTS) == (
        "its input local cannot be fetched: it has no such branch, tag or commit"
    )


@pytest.mark.parametrize(
    ("message", "before", "subject"),
    [
        (
            "getting status of '/nix/store/x-source/flake.nix': No such file",
            "",
            "one of its inputs",
        ),
        ("path '/nix/store/x-source/flake.nix' does not exist", WHILE, "its input local"),
        ("Path 'flake.nix' does not exist in Git repository \"/x\".", WHILE, "its input local"),
    ],
)
def test_an_input_without_a_flake_is_named_where_nix_names_it(
    message: str, before: str, subject: str
) -> None:
    stderr = f"error:\n{before}\n\nerror: {message}"

    assert not_a_flake(message, stderr, INPUTS) == (
        f"{subject} is not a flake: it has no flake.nix (flake = false may be missing)"
    )
    assert not_a_flake(message, stderr, Flake("", "", 0)) is None
    assert not_a_flake("path 'x' does not exist", stderr, INPUTS) is None


def test_a_download_keeps_the_message_of_nix() -> None:
    message = "unable to download 'https://git.example.org/web': HTTP error 404"

    assert refused(message, message, INPUTS) == f"its input web cannot be fetched: {message}"
    assert refused(message, message, None) is None


@pytest.mark.parametrize("flake", [INPUTS, None])
def test_other_failures_are_not_refusals(flake: Flake | None) -> None:
    assert refused("undefined variable 'x'", "fatal: Authentication failed", flake) is None


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("ssh: connect to host ssh.example.org port 2222: Connection refused", "keys"),
        ("ssh: Could not resolve hostname ssh.example.org: Name or service not known", "keys"),
        ("ssh: connect to host other.example.org port 22: Connection refused", None),
    ],
)
def test_a_host_of_ssh_belongs_to_the_input(printed: str, name: str | None) -> None:
    assert input_at(printed, INPUTS) == name

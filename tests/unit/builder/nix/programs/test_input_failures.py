"""Inputs of flakes that cannot be fetched, in the texts of several versions of Nix."""

import pytest

from app.builder.nix.door import Flake
from app.builder.nix.programs.input_failures import input_at, missing_input, refused

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

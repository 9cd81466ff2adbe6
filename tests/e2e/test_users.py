"""Any user id has a home that it can write, and programs that look for names work."""

import pytest

from tests.e2e.clients import Docker, Podman, pull
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

# What Pod Security's level "restricted" requires, beyond a user id that is not 0.
RESTRICTED = ("--cap-drop=ALL", "--security-opt=no-new-privileges")
READ_ONLY = ("--read-only", "--tmpfs=/tmp", *RESTRICTED)
USER = """
id -u; test -w $HOME && cd && touch written && git config --global user.name me && echo $HOME
whoami 2>/dev/null || echo nameless
"""
# One script for many assertions, since each start of a container costs a second.
PROGRAMS = """
set -e
cd
echo $HOME
git config --global user.email me@localhost && git init -q work && cd work
git -c user.name=me commit -q --allow-empty -m first && git log --format=%ae
python3 -c 'import os, tempfile; print(os.path.expanduser("~")); tempfile.TemporaryFile()'
mkdir -p ~/.config ~/.cache && touch ~/.config/file ~/.cache/file
whoami 2>/dev/null || echo nameless
python3 -c 'import getpass; print(getpass.getuser())' 2>/dev/null || echo unknown
USER=me python3 -c 'import getpass; print(getpass.getuser())'
ssh-keygen -q -t ed25519 -N "" -f ~/key >/dev/null 2>&1 && echo key || echo no key
ssh -o BatchMode=yes -o ConnectTimeout=1 127.0.0.1 2>&1 | grep -Eo 'refused|No user exists'
"""
IMAGE = "shell/git/openssh/python3/gnugrep"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("shell/git", ["--user=0"], "0 /root root"),
        ("shell/git", ["--user=1000"], "1000 /home/user user"),
        (
            "shell/git",
            ["--user=1000:1000", "--read-only", "--tmpfs=/home/user"],
            "1000 /home/user user",
        ),
        ("shell/git", ["--user=1001:121"], "1001 /home/user1001 user1001"),
        (
            "shell/git",
            ["--user=65534", "--read-only", "--tmpfs=/tmp"],
            "65534 /tmp nobody",  # plain: ok
        ),
        ("shell/git", ["--user=12345:0"], "12345 /tmp user12345"),
        ("shell/git", ["--user=4711:118", *READ_ONLY], "4711 /tmp user4711"),
        ("shell/git", ["--user=999"], "999 /tmp user999"),
        ("shell/git", ["--user=1000680000:0", *READ_ONLY], "1000680000 /tmp user1000680000"),
        ("shell/git", ["--user=424242", "--env=HOME=/tmp"], "424242 /tmp nameless"),
        ("nonroot/shell/git", [], "65532 /home/nonroot nonroot"),
        ("nonroot/shell/git", ["--user=424242:424242"], "424242 /home/nonroot nameless"),
        (
            "nonroot/shell/git",
            ["--user=1000680000:0", "--tmpfs=/home/nonroot", *READ_ONLY],
            "1000680000 /home/nonroot user1000680000",
        ),
    ],
)
def test_users_have_a_home_that_they_can_write(
    server: Server, docker: Docker, name: str, options: list[str], expected: str
) -> None:
    image = f"{server.address}/{name}:latest"
    pull(docker, image)

    assert docker.run_as(options, image, "sh", "-c", USER).split() == expected.split()


def test_shells_of_people_have_a_home_that_an_unknown_user_can_write(
    server: Server, docker: Docker, podman: Podman
) -> None:
    image = f"{server.address}/shell/git:latest"
    pull(docker, image)
    pull(podman, image)

    for client in (docker, podman):
        for shell in (("bash", "-ic"), ("bash", "-lc"), ("sh", "-lc")):
            unknown = client.run_as(["--user=424242"], image, *shell, USER)
            assert unknown.split()[:2] == ["424242", "/tmp"], (client.name, shell)
            root = client.run_as(["--env=HOME=/"], image, *shell, "set -u; echo $HOME")
            assert root == "/\n"


def named(home: str, name: str) -> list[str]:
    """Return what ``PROGRAMS`` print for a user whose name is known."""
    return [home, "me@localhost", home, name, name, "me", "key", "refused"]


def nameless(home: str) -> list[str]:
    return [home, "me@localhost", home, "nameless", "unknown", "me", "no key", "No user exists"]


def test_git_ssh_and_python_work_for_users_that_platforms_choose(
    server: Server, docker: Docker, podman: Podman
) -> None:
    plain, nonroot = f"{server.address}/{IMAGE}:latest", f"{server.address}/nonroot/{IMAGE}:latest"
    pull(docker, plain)
    pull(docker, nonroot)
    pull(podman, plain)
    pull(podman, nonroot)
    run = ("bash", "-c", PROGRAMS)

    for client in (docker, podman):
        for user, expected in (
            ("1000", named("/home/user", "user")),
            ("10001:0", named("/tmp", "user10001")),
        ):
            output = client.run_as([f"--user={user}"], plain, *run)
            assert output.splitlines() == expected, client.name
    pod = (*READ_ONLY, "--tmpfs=/home/nonroot", "--user=424242:0")
    assert docker.run_as(pod, nonroot, *run).splitlines() == nameless("/home/nonroot")
    # Podman, like CRI-O, adds a name.
    assert podman.run_as(["--user=424242:0"], nonroot, *run).splitlines() == named(
        "/home/nonroot", "424242"
    )

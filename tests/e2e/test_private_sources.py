"""Private repositories by ssh and https, for a real server whose operator wrote a settings file."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.githosts import (
    Authority,
    https_host,
    known_hosts,
    new_authority,
    new_key,
    ssh_host,
)
from tests.e2e.process import SYSTEM_PATH, Process, program, run
from tests.e2e.server import ROOT, Server
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

TOKEN = "t0ken-that-opens"  # found in outputs by its value
WRONG_TOKEN = "t0ken-that-does-not"
PACKAGES = ROOT / "tests" / "nix" / "small" / "image.nix"
SPY = """#!/bin/sh
{{ printf '%s\\n' "$*"; env; }} >>{log}
exec {git} "$@"
"""


def packages(version: str) -> str:
    return PACKAGES.read_text().replace("VERSION", version)


@dataclass(frozen=True, slots=True)
class Place:
    """A private repository behind two hosts, in a directory with keys and tokens.

    ``deep`` is a commit of another branch than the default one, and not its last; ``lost``
    is on none.
    """

    home: Path
    main: str
    deep: str
    lost: str
    ssh_port: int
    https_port: int
    authority: Authority

    @property
    def secrets(self) -> list[str]:
        """The tokens, and of each private key a line."""
        keys = [(self.home / name).read_text().splitlines()[2] for name in ("right key", "wrong")]
        return [TOKEN, WRONG_TOKEN, *keys]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("private")
    repository = Repository(home / "upstream")
    repository.commit(packages("1"))
    lost = repository.commit(packages("lost"))
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("checkout", "--quiet", "-b", "side")
    deep = repository.commit(packages("deep"))
    repository.commit(packages("later"))
    repository.git("checkout", "--quiet", "main")
    main = repository.commit(packages("2"))
    host_key, right, other = (new_key(home / name) for name in ("host", "right key", "wrong"))
    (home / "token").write_text(f"{TOKEN}\n")
    (home / "wrong-token").write_text(f"{WRONG_TOKEN}\n")
    authority = new_authority(home / "authority")
    with ExitStack() as stack:
        ssh_port = stack.enter_context(ssh_host(home, host_key=host_key, client=right))
        https_port = stack.enter_context(
            https_host(home, authority=authority, user="reader", password=TOKEN)
        )
        known_hosts(home / "known hosts", ssh_port, host_key)
        known_hosts(home / "changed-hosts", ssh_port, other)
        (home / "no-hosts").touch()
        yield Place(home, main, deep, lost, ssh_port, https_port, authority)


def sources(place: Place) -> str:
    """A settings file; what each source lacks stands in its name."""
    ssh = f'location = "ssh://git@127.0.0.1:{place.ssh_port}/upstream/.git"'
    https = f'location = "https://127.0.0.1:{place.https_port}/upstream/.git"\nusername = "reader"'
    written = {
        "ssh": f'{ssh}\nssh_key = "right key"\nknown_hosts = "known hosts"',
        "ssh-key": f'{ssh}\nssh_key = "wrong"\nknown_hosts = "known hosts"',
        "ssh-host": f'{ssh}\nssh_key = "right key"\nknown_hosts = "no-hosts"',
        "ssh-changed": f'{ssh}\nssh_key = "right key"\nknown_hosts = "changed-hosts"',
        "https": f'{https}\ntoken_file = "token"',
        "https-token": f'{https}\ntoken_file = "wrong-token"',
        "https-none": https,
    }
    channel = f'location = "https://127.0.0.1:{place.https_port}"'
    return f'[[sources]]\nname = "channel"\nkind = "channel"\n{channel}\n' + "".join(
        f'[[sources]]\nname = "{name}"\nkind = "git"\nsubstituters = []\n{fields}\n'
        for name, fields in written.items()
    )


def start(place: Place, home: Path, **environment: str) -> Server:
    """As an operator starts it, in the directory with the keys; git is overheard."""
    home.mkdir()
    spied = home / "spied"
    spied.mkdir()
    (spied / "git").write_text(SPY.format(log=home / "git-log", git=program("git")))
    (spied / "git").chmod(0o755)
    settings = home / "nixery.toml"
    written = sources(place)
    for field in ("ssh_key", "known_hosts", "token_file"):
        written = written.replace(f'{field} = "', f'{field} = "{place.home}/')
    settings.write_text(written)
    server = Server(
        home / "server",
        PACKAGES,
        NIXERY_CONFIG=str(settings),
        NIXERY_LOG_LEVEL="TRACE",
        PATH=f"{spied}:{SYSTEM_PATH}",
        **environment,
    )
    return server.start()


@pytest.fixture(scope="module")
def own_environment() -> Iterator[None]:
    """Certificates that the machine's owner trusts are named by the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def agent(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An ssh agent of the user's that holds the key that opens."""
    home = tmp_path_factory.mktemp("agent")
    socket = home / "socket"
    process = Process(["ssh-agent", "-D", "-a", str(socket)], log=home / "log")
    process.wait_until(socket.exists)
    added = run("ssh-add", str(place.home / "right key"), env={"SSH_AUTH_SOCK": str(socket)})
    assert added.returncode == 0, added.stderr
    yield str(socket)
    process.stop()


@pytest.fixture(scope="module")
def server(
    place: Place, own_environment: None, agent: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("servers") / "trusting"
    ca = str(place.authority.ca)
    server = start(place, home, SSL_CERT_FILE=ca, SSH_AUTH_SOCK=agent)
    yield server
    server.stop()


def revision(server: Server, answer: httpx.Response) -> str:
    """Return the revision that the image records."""
    assert answer.status_code == 200, answer.text
    config = answer.json()["config"]["digest"]
    labels = server.get(f"/v2/any/blobs/{config}").json()["config"]["Labels"]
    return str(labels["org.opencontainers.image.revision"])


@pytest.mark.parametrize("source", ["ssh", "https"])
def test_a_private_repository_is_read_by_branch_and_by_commit(
    place: Place, server: Server, source: str
) -> None:
    commits = {"latest": place.main, place.deep: place.deep, place.deep[:9]: place.deep}

    for tag, commit in commits.items():
        answer = server.get(f"/v2/{source}/tool/manifests/{tag}")

        assert revision(server, answer) == commit, tag


def test_a_commit_off_every_branch_is_had_from_a_host_that_hands_it_out(
    place: Place, server: Server
) -> None:
    answer = server.get(f"/v2/https/tool/manifests/{place.lost}")

    assert revision(server, answer) == place.lost


REFUSALS = {
    "ssh-key": r"the host does not accept the key \(see ssh_key\)",
    "ssh-host": r"ssh does not know the host's key \(see known_hosts\)",
    "ssh-changed": r"the host's key has changed \(see known_hosts\)",
    "https-token": r"the host does not accept the user name and token \(see username, token_file\)",
    "https-none": r"the host requires a user name and a token \(see token_file\)",
}


@pytest.mark.parametrize("source", REFUSALS)
def test_denied_access_names_the_setting_to_check(server: Server, source: str) -> None:
    answer = server.get(f"/v2/{source}/tool/manifests/latest")

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (503, "UNAVAILABLE")
    assert re.search(f"source {source} cannot be reached: {REFUSALS[source]}", error["message"])
    assert "127.0.0.1" not in answer.text


@pytest.mark.parametrize("source", ["https-none", "ssh-key"])
def test_what_another_source_was_let_in_to_read_is_not_there(
    place: Place, server: Server, source: str
) -> None:
    allowed = server.get(f"/v2/{source.partition('-')[0]}/tool/manifests/{place.main}")

    answer = server.get(f"/v2/{source}/tool/manifests/{place.main}")

    assert (allowed.status_code, answer.status_code) == (200, 503)


def test_the_users_ssh_agent_would_have_opened(place: Place, agent: str) -> None:
    """Or else its being left alone, above, would show nothing."""
    ssh = f"ssh -F none -o 'UserKnownHostsFile=\"{place.home}/known hosts\"'"
    address = f"ssh://git@127.0.0.1:{place.ssh_port}/upstream/.git"

    asked = run("git", "ls-remote", address, env={"GIT_SSH_COMMAND": ssh, "SSH_AUTH_SOCK": agent})

    assert place.main in asked.stdout, asked.stderr


def test_another_authority_is_not_trusted(
    place: Place, own_environment: None, tmp_path: Path
) -> None:
    stranger = str(new_authority(tmp_path / "stranger").ca)
    server = start(place, tmp_path / "suspicious", SSL_CERT_FILE=stranger)

    answers = [server.get(f"/v2/{s}/tool/manifests/latest") for s in ("https", "channel")]
    server.stop()

    for answer in answers:
        assert answer.status_code == 503
        assert "the host's certificate is not trusted (SSL_CERT_FILE may name" in answer.text
        assert "127.0.0.1" not in answer.text
        assert TOKEN not in answer.text + server.log


def test_git_may_have_certificates_of_its_own(
    place: Place, own_environment: None, tmp_path: Path
) -> None:
    stranger = str(new_authority(tmp_path / "stranger").ca)
    ca = str(place.authority.ca)
    server = start(place, tmp_path / "apart", SSL_CERT_FILE=stranger, GIT_SSL_CAINFO=ca)

    answer = server.get("/v2/https/tool/manifests/latest")
    server.stop()

    assert answer.status_code == 200, answer.text


def test_no_secret_is_in_any_log_page_path_argument_or_file(place: Place, server: Server) -> None:
    home = server.storage.parents[1]
    for source in ("ssh", "https", *REFUSALS):
        server.get(f"/v2/{source}/tool/manifests/latest")

    builds = server.get("/builds", Accept="application/json").json()["finished"]
    addresses = ["/debug", "/builds", *(build["page"] for build in builds)]
    pages = [server.get(address).text for address in addresses]
    stored = list(Path("/nix/store").glob("*-tool-deep*"))
    below = [Path(place) / name for place, _, names in os.walk(home) for name in names]
    written: dict[str, bytes] = {}
    for file in (*below, *stored):
        with suppress(FileNotFoundError):  # the server runs, and removes files
            if file.is_file():
                written[str(file)] = file.read_bytes()

    assert len(builds) > len(REFUSALS)
    assert stored
    assert b"fetch" in written[f"{home}/git-log"]
    for secret in place.secrets:
        assert not any(secret in page for page in pages)
        assert [f for f, content in written.items() if secret.encode() in content] == []

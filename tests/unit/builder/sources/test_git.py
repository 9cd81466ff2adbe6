"""Against real repositories; the network is the file system's, HTTP on the loopback, or ssh's."""

import base64
import http.server
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git import GitUpstream
from app.errors import SourceUnavailable, TagUnknown
from tests.unit.builder.sources.repository import Repository, upstream


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def source(repository: Repository, tmp_path: Path) -> GitUpstream:
    return upstream(GitDefinition(name="set", location=repository.url), tmp_path / "state")


async def content(source: GitUpstream, tag: str) -> str:
    async with source.checkout(await source.find(tag)) as package_set:
        return (Path(package_set.reference) / "default.nix").read_text()


async def test_latest_is_the_default_branch(repository: Repository, source: GitUpstream) -> None:
    first = repository.commit("1")

    revision = await source.find("latest")

    assert revision.identity == f"commit:{first}"
    assert revision.date == datetime(2024, 5, 1, 1, tzinfo=UTC)
    assert revision.moves


async def test_a_branch_and_a_tag_are_found_by_name(
    repository: Repository, source: GitUpstream
) -> None:
    first = repository.commit("1")
    repository.git("tag", "--annotate", "--message", "x", "v1")
    repository.git("checkout", "--quiet", "-b", "release")
    second = repository.commit("2")
    repository.git("checkout", "--quiet", "main")

    assert (await source.find("v1")).label == first
    assert (await source.find("release")).label == second
    assert await content(source, "v1") == "1"
    assert await content(source, "release") == "2"


async def test_a_moved_branch_is_followed(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    assert await content(source, "main") == "1"

    repository.commit("2")

    assert await content(source, "main") == "2"


async def test_a_branch_that_was_rewritten_is_followed(
    repository: Repository, source: GitUpstream
) -> None:
    base = repository.commit("1")
    repository.commit("2")
    await source.find("main")
    repository.git("reset", "--quiet", "--hard", base)
    other = repository.commit("3")

    assert (await source.find("main")).label == other


async def test_commits_off_every_branch_work(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    lost = repository.commit("2")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")

    revision = await source.find(lost)

    assert not revision.moves
    assert await content(source, lost) == "2"


async def test_an_abbreviated_commit_of_any_branch_is_spelled_out(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("2")
    repository.commit("3")
    repository.git("checkout", "--quiet", "main")

    revision = await source.find(side[:8])

    assert (revision.label, revision.moves) == (side, False)
    assert await content(source, side[:8]) == "2"


async def test_what_is_no_ref_is_answered_with_what_there_is(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    repository.git("branch", "release-1")
    repository.git("tag", "v1")

    with pytest.raises(
        TagUnknown, match=r"no branch, tag or commit v2.*latest, main, release-1, v1"
    ):
        await source.find("v2")


@pytest.mark.parametrize("tag", ["0" * 40, "0" * 12])
async def test_a_commit_that_is_not_there_is_unknown(
    repository: Repository, source: GitUpstream, tag: str
) -> None:
    repository.commit("1")

    with pytest.raises(TagUnknown, match="no branch, tag or commit 0000"):
        await source.find(tag)


async def test_a_long_list_of_refs_is_cut(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    for number in range(30):
        repository.git("tag", f"v{number}")

    with pytest.raises(TagUnknown, match="and 19 more"):
        await source.find("nope")


async def test_only_allowed_refs_are_listed(repository: Repository, tmp_path: Path) -> None:
    repository.commit("1")
    repository.git("branch", "secret")
    definition = GitDefinition(name="set", location=repository.url, refs=("main",))

    with pytest.raises(TagUnknown) as failure:
        await upstream(definition, tmp_path / "state").find("nope")

    assert "secret" not in str(failure.value.detail) + failure.value.message


async def test_a_repository_that_is_gone_is_unavailable_and_its_place_not_told(
    tmp_path: Path,
) -> None:
    definition = GitDefinition(name="set", location=f"file://{tmp_path}/nowhere/secret")

    with pytest.raises(SourceUnavailable, match="source set cannot be reached") as failure:
        await upstream(definition, tmp_path / "state").find("latest")

    assert str(tmp_path) not in failure.value.message


async def test_what_was_fetched_is_there_without_the_repository(
    repository: Repository, source: GitUpstream
) -> None:
    commit = repository.commit("1")
    revision = await source.find(commit)
    repository.path.rename(repository.path.with_name("gone"))

    async with source.checkout(revision) as package_set:
        assert (Path(package_set.reference) / "default.nix").read_text() == "1"


async def test_the_tree_is_the_commits_to_the_last_mode_and_link(
    repository: Repository, source: GitUpstream
) -> None:
    (repository.path / "run").write_text("#!/bin/sh\n")
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("run")
    (repository.path / "away").symlink_to("/")
    repository.commit("export-ignore\n", ".gitattributes")

    async with source.checkout(await source.find("latest")) as package_set:
        tree = Path(package_set.reference)

        names = sorted(entry.name for entry in tree.iterdir())
        assert names == [".gitattributes", "away", "link", "run"]
        assert (tree / "run").stat().st_mode & stat.S_IXUSR
        assert (tree / "link").readlink() == Path("run")
        assert tree.name == "source"
        for entry in (tree, *tree.iterdir()):
            assert entry.lstat().st_mtime == datetime(2024, 5, 1, 1, tzinfo=UTC).timestamp()


async def test_a_killed_fetch_is_no_obstacle(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    repository.commit("1")
    await source.find("latest")
    (state,) = (tmp_path / "state" / "git").glob("*.commits")
    (state / "shallow.lock").touch()
    second = repository.commit("2")

    assert (await source.find("latest")).label == second


async def test_nobodys_configuration_counts(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit("1")
    home = tmp_path / "state" / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = file:///\n')
    source = upstream(GitDefinition(name="set", location=repository.url), tmp_path / "state")

    assert (await source.find("latest")).label == commit


def test_a_location_with_a_password_is_refused() -> None:
    for location in ("https://user:secret@host/r.git", "https://token@host/r.git"):
        with pytest.raises(ValueError, match="no user name or password"):
            GitDefinition(name="set", location=location)

    GitDefinition(name="set", location="ssh://git@host/r.git")
    GitDefinition(name="set", location="git@host:r.git")


# ---- private repositories


class _GitHttp(http.server.BaseHTTPRequestHandler):
    """Git's own HTTP backend behind a password."""

    root: str
    password: str
    asked: list[str]

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def _serve(self, body: bytes) -> None:
        given = self.headers.get("Authorization", "")
        expected = base64.b64encode(f"reader:{self.password}".encode()).decode()
        self.asked.append(given)
        if given != f"Basic {expected}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": self.root,
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": "reader",
            },
            capture_output=True,
            check=True,
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def private(repository: Repository) -> Iterator[tuple[str, list[str]]]:
    """The address of the repository behind a password, and the passwords it was shown."""
    asked: list[str] = []
    handler = type(
        "Handler",
        (_GitHttp,),
        {"root": str(repository.path.parent), "password": "s3cret", "asked": asked},
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/upstream/.git", asked
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_private_repository_over_http_is_read_with_the_sources_token(
    repository: Repository, private: tuple[str, list[str]], tmp_path: Path
) -> None:
    commit = repository.commit("1")
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    definition = GitDefinition(name="set", location=private[0], username="reader", token_file=token)
    source = upstream(definition, tmp_path / "state")

    assert (await source.find("latest")).label == commit
    assert (await source.find(commit[:9])).label == commit
    assert await content(source, "latest") == "1"
    kept = (tmp_path / "state").rglob("*")
    assert not any(b"s3cret" in file.read_bytes() for file in kept if file.is_file())


@pytest.mark.parametrize("token", [None, "wrong-t0ken"])
async def test_without_the_right_token_the_source_is_unavailable_and_tells_no_secret(
    repository: Repository, private: tuple[str, list[str]], tmp_path: Path, token: str | None
) -> None:
    repository.commit("1")
    file = None
    if token is not None:
        file = tmp_path / "token"
        file.write_text(token)
    definition = GitDefinition(name="set", location=private[0], token_file=file)

    with pytest.raises(SourceUnavailable) as failure:
        await upstream(definition, tmp_path / "state").find("latest")

    assert "wrong-t0ken" not in failure.value.message
    assert "127.0.0.1" not in failure.value.message


FAKE_SSH = """#!/bin/sh
# Runs the command here, and notes how it was asked; the protocol version stays behind.
echo "$@" >> {log}
unset GIT_PROTOCOL
for last; do :; done
exec sh -c "$last"
"""


async def test_ssh_is_given_the_sources_key_and_nothing_of_the_users(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit("1")
    lost = repository.commit("2")
    repository.git("branch", "side")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    (programs / "ssh").write_text(FAKE_SSH.format(log=log))
    (programs / "ssh").chmod(0o755)
    definition = GitDefinition(
        name="set",
        location=f"ssh://git@example.org{repository.path}",
        ssh_key=tmp_path / "key file",
        known_hosts=tmp_path / "hosts",
    )
    source = upstream(definition, tmp_path / "state", {"PATH": f"{programs}:{os.environ['PATH']}"})

    # This server, too old to hand out any commit, makes it fetch all branches.
    assert await content(source, lost) == "2"

    said = log.read_text()
    assert f"-i {tmp_path}/key file" in said
    assert f'UserKnownHostsFile="{tmp_path}/hosts"' in said
    for setting in ("-F none", "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"):
        assert setting in said

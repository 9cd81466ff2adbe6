"""Sources side by side: what one fetched is not there for another that is trusted with more."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.e2e.server import ROOT, Server
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

IMAGE = ROOT / "tests" / "nix" / "small" / "image.nix"
PACKAGES = """
arguments: let image = import ./image.nix arguments; in image // {
  spy = image.tool // { name = builtins.replaceStrings [ "\\n" ] [ "" ] (builtins.readFile /etc/hostname); };
}
"""
SETTINGS = """
[[sources]]
name = "strangers"
kind = "git"
location = "{location}"
trusted = false
build_unsandboxed = true
substituters = []

[[sources]]
name = "stable"
kind = "channel"
location = "http://127.0.0.1:1"
archive = "http://127.0.0.1:1/{{commit}}.tar.gz"
substituters = []
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def server(repository: Repository, tmp_path: Path) -> Iterator[Server]:
    settings = tmp_path / "nixery.toml"
    settings.write_text(SETTINGS.format(location=repository.url))
    server = Server(tmp_path / "server", IMAGE, NIXERY_CONFIG=str(settings)).start()
    yield server
    server.stop()


def test_results_of_an_untrusted_source_are_not_those_of_a_trusted_one(
    repository: Repository, server: Server
) -> None:
    (repository.path / "image.nix").write_text(IMAGE.read_text())
    commit = repository.commit(PACKAGES)
    assert server.get("/v2/strangers/tool/manifests/latest").status_code == 200
    names = ("strangers/spy", "stable/spy", "stable/tool")

    refused, spied, built = (server.get(f"/v2/{name}/manifests/{commit}") for name in names)

    assert refused.status_code == 403
    assert "forbidden in restricted mode" in refused.text
    for answer in (spied, built):
        assert answer.status_code == 503
        assert "source stable cannot be reached" in answer.text


def test_hosts_that_publish_the_same_commit_id_share_nothing(tmp_path: Path) -> None:
    """A channel's commit is an id that its host may give to any files."""
    commit = "1" * 40
    sources = ""
    with ExitStack() as hosts:
        for number in (1, 2):
            root = tmp_path / f"host{number}"
            (root / "nixos-unstable").mkdir(parents=True)
            (root / "nixos-unstable" / "git-revision").write_text(commit)
            text = IMAGE.read_text().replace("VERSION", f"host{number}")
            (root / "archive").write_bytes(_archive(text))
            url = hosts.enter_context(_files(root))
            sources += (
                f'[[sources]]\nname = "host{number}"\nkind = "channel"\nlocation = "{url}"\n'
                f'archive = "{url}/archive?{{commit}}"\nsubstituters = []\n'
            )
        settings = tmp_path / "nixery.toml"
        settings.write_text(sources)
        server = Server(tmp_path / "server", IMAGE, NIXERY_CONFIG=str(settings)).start()
        layers = [_layers(server, f"host{number}/tool") for number in (1, 2)]
        server.stop()

    assert [b"tool-host1" in body for body in layers] == [True, False]
    assert [b"tool-host2" in body for body in layers] == [False, True]


def _archive(text: str) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        member = tarfile.TarInfo("top/default.nix")
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))
    return body.getvalue()


@contextmanager
def _files(root: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _layers(server: Server, name: str) -> bytes:
    digest = server.digest(name)
    manifest = server.get(f"/v2/{name}/manifests/{digest}").json()
    blobs = (server.get(f"/v2/{name}/blobs/{layer['digest']}") for layer in manifest["layers"])
    return b"".join(gzip.decompress(blob.content) for blob in blobs)


def test_files_that_no_directory_can_hold_are_refused_with_the_reason(
    repository: Repository, server: Server
) -> None:
    commits = {
        repository.commit_of("120000 .gitmodules"): "git refuses the name .gitmodules",
        repository.commit_of("100644 .git"): "git refuses the name .git",
        repository.commit_of(f"100644 {'x' * 300}"): "a name or a link is too long",
    }

    for commit, why in commits.items():
        answer = server.get(f"/v2/strangers/tool/manifests/{commit}")

        assert answer.status_code == 403
        assert f"the files of source strangers cannot be unpacked: {why}" in answer.text
    assert "Traceback" not in server.complete_log()

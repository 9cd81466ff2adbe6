"""A server restarted when every host its packages came from is gone."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from tests.e2e.door import SYSTEM
from tests.e2e.githosts import Authority, https_files, https_host, new_authority
from tests.e2e.server import ROOT, Server, ServerFactory
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

PACKAGES = ROOT / "tests" / "nix" / "small" / "image.nix"
SETTINGS = """
[[sources]]
name = "team"
kind = "git"
location = "https://127.0.0.1:{git}/upstream/.git"
username = "reader"
token_file = "{home}/token"
substituters = []

[[sources]]
name = "stable"
kind = "channel"
location = "https://127.0.0.1:{channel}"
channel = "nixos-24.05"
archive = "https://127.0.0.1:{channel}/archive/{{commit}}"
substituters = []

[[sources]]
name = "flake"
kind = "flake"
location = "https://127.0.0.1:{git}/upstream/.git"
username = "reader"
token_file = "{home}/token"
substituters = []
"""
FLAKE = f"""
{{
  outputs = {{ self }}: {{
    packages.{SYSTEM} = import ./default.nix {{ system = "{SYSTEM}"; }};
  }};
}}
"""
PLAN = LayerProfile(2, {"tool-1": ProfileEntry(None, 2), "other": ProfileEntry(None, 1)})


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream")
    repository.commit(FLAKE, "flake.nix")
    repository.commit(PACKAGES.read_text().replace("VERSION", "1"))
    repository.git("tag", "v1")
    repository.commit(PACKAGES.read_text().replace("VERSION", "2"))
    return repository


@pytest.fixture
def channel(repository: Repository, tmp_path: Path) -> Path:
    """Files as a channel host and an archive of commits have them."""
    root = tmp_path / "channel"
    for folder in ("nixos-24.05", "nixos-23.11", "archive"):
        (root / folder).mkdir(parents=True)
    for channel, ref in (("nixos-24.05", "main"), ("nixos-23.11", "v1")):
        commit = repository.git("rev-parse", ref)
        (root / channel / "git-revision").write_text(commit)
        archive = root / "archive" / commit
        repository.git("archive", "--format=tar.gz", "--prefix=set/", f"--output={archive}", ref)
        (root / "archive" / commit[:8]).symlink_to(archive)
    (root / "plan.json").write_bytes(PLAN.to_json())
    return root


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = new_authority(tmp_path / "authority")
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    return authority


def everything(server: Server, repository: Repository) -> Iterator[str]:
    """Yield every text that the server returned; a refusal fails the test."""
    first = repository.git("rev-parse", "v1")
    asked = {
        "tool": ("latest",),
        "team/tool": ("latest", "main", "v1", first, first[:8]),
        "team/other": ("latest",),
        "flake/tool": ("latest", first),
        "stable/tool": ("latest", "nixos-23.11", first, first[:8]),
        "stable/other/tool": ("latest",),
    }
    for name, tags in asked.items():
        for tag in tags:
            answer = server.get(f"/v2/{name}/manifests/{tag}")
            assert answer.status_code == 200, f"{name}:{tag} {answer.text}"
            digest = answer.headers["Docker-Content-Digest"]
            by_digest = server.get(f"/v2/{name}/manifests/{digest}").content
            assert by_digest == answer.content
            manifest = answer.json()
            blobs = [manifest["config"], *manifest["layers"]]
            sizes = [len(server.get(f"/v2/{name}/blobs/{b['digest']}").content) for b in blobs]
            assert sizes == [blob["size"] for blob in blobs]
            yield f"{name}:{tag} {digest}"
    for source in ("team", "stable"):
        yield server.get(f"/api/search?q=to&source={source}").text


def test_it_serves_everything_it_served_before(
    repository: Repository,
    channel: Path,
    authority: Authority,
    new_server: ServerFactory,
    tmp_path: Path,
) -> None:
    with ExitStack() as hosts:
        (tmp_path / "token").write_text("t0ken")
        settings = tmp_path / "nixery.toml"
        git = hosts.enter_context(
            https_host(tmp_path, authority=authority, user="reader", password="t0ken")
        )
        files = hosts.enter_context(https_files(channel, authority=authority))
        settings.write_text(SETTINGS.format(git=git, channel=files, home=tmp_path))
        server = new_server(
            PACKAGES,
            NIXERY_CONFIG=str(settings),
            NIXERY_POPULARITY=f"https://127.0.0.1:{files}/plan.json",
            SSL_CERT_FILE=str(authority.ca),
        )
        before = list(everything(server, repository))
        server.stop()
    started = len(server.nix_starts)
    server.start()
    assert "using the stored copy of the layer plan" in server.complete_log()

    again = list(everything(server, repository))
    latest = server.get("/v2/team/tool/manifests/latest")
    pinned = server.get(f"/v2/team/tool/manifests/{repository.git('rev-parse', 'main')}")
    unseen = server.get("/v2/team/other/tool/manifests/latest")
    never = server.get("/v2/team/tool/manifests/never")

    assert again == before
    assert "last known revision" in latest.headers["Warning"]
    assert pinned.content == latest.content
    assert unseen.status_code == 200  # of parts that were seen
    assert (never.status_code, never.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    # A starting server queries Nix's version and configuration.
    queries = {line.split()[1] for line in server.nix_starts[started:]}
    assert queries <= {"--version", "config", "show-config"}, queries
    absent = server.get("/v2/team/absent/manifests/latest")  # the files to look into are here
    assert (absent.status_code, "no such package: absent" in absent.text) == (404, True)

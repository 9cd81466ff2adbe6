"""The same image is the same bytes, on whatever machine; different images differ."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.oci import Digest
from tests.e2e.process import run
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# Languages, services, Nix's database, homes, loaders, data, both ways of layers, architectures.
EVERY_KIND = (
    "python3/python3packages.requests",
    "perl/perlpackages.json/shell",
    "nginx",
    "redis/tzdata",
    "nix/shell",
    "nonroot/nix/redis",
    "foreign/hello",
    "few-layers/perl/perlpackages.json/shell",
    "minimal",
    "arm64/perl/perlpackages.json",
    "glibclocales/bash",
)


def described(server: Server, name: str) -> tuple[str, Any, Any]:
    """Return an image's digest, and its manifest and config, which show a difference."""
    digest = server.digest(name)
    manifest = server.get(f"/v2/{name}/manifests/{digest}").json()
    config = server.get(f"/v2/{name}/blobs/{manifest['config']['digest']}").json()
    return digest, manifest, config


def contents(server: Server, name: str) -> tuple[str, Any, Any]:
    """Return an image's digest, manifest and config after each of its blobs was compared."""
    digest, manifest, image = described(server, name)
    for blob in (manifest["config"], *manifest["layers"]):
        answer = server.get(f"/v2/{name}/blobs/{blob['digest']}")
        assert str(Digest.of(answer.content)) == blob["digest"], name
        assert len(answer.content) == blob["size"]
    return digest, manifest, image


def test_images_of_every_kind_are_equal_on_other_servers_and_after_a_restart(
    new_server: ServerFactory,
) -> None:
    # Different numbers of threads finish layers in different orders.
    one, other = new_server(NIXERY_WORKERS="1"), new_server(NIXERY_WORKERS="3")

    first = {name: contents(one, name) for name in EVERY_KIND}
    # Layers that images share are packed for another image first.
    assert {name: contents(other, name) for name in reversed(EVERY_KIND)} == first
    one.stop()
    one.start()
    assert {name: contents(one, name) for name in EVERY_KIND} == first
    # Without records all is evaluated, planned and packed again.
    one.stop()
    shutil.rmtree(one.storage)
    one.start()
    assert {name: described(one, name) for name in EVERY_KIND} == {
        name: described(other, name) for name in EVERY_KIND
    }


def test_order_and_repetition_do_not_matter(server: Server) -> None:
    assert server.digest("jq/htop") == server.digest("htop/jq/htop")


def test_architectures_differ(server: Server) -> None:
    assert server.digest("arm64/jq") != server.digest("jq")
    assert server.digest("amd64/jq") == server.digest("jq")


def test_twenty_clients_cost_the_nix_of_one(new_server: ServerFactory) -> None:
    alone, crowded = new_server(), new_server()
    alone.digest("htop")

    def inspect(_: int) -> str:
        image = f"docker://{crowded.address}/htop"
        done = run("skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", image)
        assert done.returncode == 0, done.stderr
        return str(Digest.of(done.stdout.encode()))

    with ThreadPoolExecutor(20) as pool:
        digests = set(pool.map(inspect, range(20)))

    assert digests == {alone.digest("htop")}
    assert [line.split()[0] for line in crowded.nix_starts] == [
        line.split()[0] for line in alone.nix_starts
    ]
    assert sum("--eval" in line or "repl" in line.split() for line in crowded.nix_starts) == 1


def test_an_image_served_before_needs_no_nix(new_server: ServerFactory) -> None:
    server = new_server()
    server.digest("htop")
    before = len(server.nix_starts)

    server.digest("htop")

    assert len(server.nix_starts) == before


def test_an_interrupted_download_is_resumed(server: Server) -> None:
    manifest = server.get("/v2/git/manifests/latest").json()
    layer = max(manifest["layers"], key=lambda layer: layer["size"])
    path, size = f"/v2/git/blobs/{layer['digest']}", layer["size"]

    first = server.get(path, Range=f"bytes=0-{size // 3}")
    rest = server.get(path, Range=f"bytes={len(first.content)}-")

    assert first.status_code == rest.status_code == 206
    assert str(Digest.of(first.content + rest.content)) == layer["digest"]

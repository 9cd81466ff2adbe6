"""The same image is the same bytes, on whatever machine; different images differ."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.oci import Digest
from tests.e2e.process import run
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e


def described(server: Server, name: str) -> tuple[str, object, object]:
    """An image's digest, and for the day that it differs what makes the difference."""
    digest = server.digest(name)
    manifest = server.get(f"/v2/{name}/manifests/{digest}").json()
    config = server.get(f"/v2/{name}/blobs/{manifest['config']['digest']}").json()
    return digest, manifest, config


def test_two_servers_with_empty_storages_give_one_digest(
    new_server: ServerFactory,
) -> None:
    # Different numbers of threads finish layers in different orders.
    one, other = new_server(NIXERY_WORKERS="1"), new_server(NIXERY_WORKERS="3")
    one.digest("jq")  # shared layers come from an earlier image here, and are new over there

    names = ("shell/git", "curl/jq", "arm64/jq")

    here = {name: described(one, name) for name in names}
    there = {name: described(other, name) for name in reversed(names)}
    assert here == there


def test_a_restarted_server_gives_the_digest_it_gave_before(
    new_server: ServerFactory,
) -> None:
    server = new_server()
    before = server.digest("htop/jq")
    server.stop()

    server.start()

    assert server.digest("htop/jq") == before
    assert server.digest("jq/htop") == before


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

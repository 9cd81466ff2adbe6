"""One client's questions to Nix, and what others get in the meantime."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import Server, ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

SPINNING = """
arguments: let
  set = import %s arguments;
  each = f: builtins.foldl' (last: n: f n) set.hello (builtins.genList (n: n) 3000);
in set // {
  spins = each (a: each (b: each (c: set.hello)));
}
"""


@pytest.fixture
def server(new_server: ServerFactory, packages: Path, tmp_path: Path) -> Server:
    """A server for one evaluation at a time, and a package whose evaluation does not end."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "default.nix").write_text(SPINNING % packages)
    return new_server(
        tmp_path / "set",
        NIXERY_EVALUATIONS="1",
        NIXERY_QUEUE="0",
        NIXERY_DRAIN_SECONDS="0",
    )


def evaluating(server: Server) -> bool:
    queues = server.get("/debug").json()["queues"]
    return any(queue["name"] == "evaluation" and queue["active"] for queue in queues)


def spin(server: Server) -> int:
    try:
        return server.get("/v2/spins/manifests/latest").status_code
    except httpx.TransportError:  # the server stops before
        return 0


def test_what_needs_no_nix_is_served_while_the_queue_of_evaluations_is_full(server: Server) -> None:
    server.digest("hello")
    server.digest("jq")
    assert server.get("/v2/nope/manifests/latest").status_code == 404

    with ThreadPoolExecutor() as pool:
        spinning = pool.submit(spin, server)
        wait_until(lambda: evaluating(server))
        statuses = {
            name: server.get(f"/v2/{name}/manifests/latest").status_code
            for name in ("hello", "hello/jq", "nope", "jq/nope", "never/asked")
        }
        server.stop()
        spinning.result()

    assert statuses == {
        "hello": 200,
        "hello/jq": 200,
        "nope": 404,
        "jq/nope": 404,
        "never/asked": 429,
    }

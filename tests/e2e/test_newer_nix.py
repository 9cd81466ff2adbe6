"""The server with the Nix of later Debian releases; all other tests have the machine's own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import Containerd, pull
from tests.e2e.newer_nix import NewerNix, unpack_nix
from tests.e2e.server import ROOT, Server, ServerFactory

pytestmark = pytest.mark.e2e


# The last one changes daily, and may be broken on a day.
@pytest.fixture(scope="module", params=["trixie", pytest.param("sid", marks=pytest.mark.full)])
def nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    return unpack_nix(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def newer(
    nix: NewerNix, salted_packages: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    lock = packages / "locks" / "x86_64-linux.json"
    nix.run(sys.executable, str(ROOT / "nix" / "debian" / "generate.py"), "seed", str(lock))
    server = Server(
        tmp_path_factory.mktemp("newer"), salted_packages, within=nix.within, PATH=nix.path
    )
    yield server.start()
    server.stop()


def test_it_is_newer_than_the_oldest_that_is_supported(nix: NewerNix) -> None:
    major, minor = nix.version().split(".")[:2]

    assert (int(major), int(minor)) > (2, 8)


def test_an_image_runs_and_is_the_same_as_the_oldest_nix_makes(
    newer: Server, containerd: Containerd, new_server: ServerFactory, salted_packages: Path
) -> None:
    digest = newer.digest("hello/jq")

    pull(containerd, f"{newer.address}/hello/jq:latest")
    assert containerd.run(f"{newer.address}/hello/jq:latest", "jq", "-n", "40 + 2") == "42\n"
    assert new_server(salted_packages).digest("hello/jq") == digest


def test_new_names_of_a_revision_are_asked_of_an_evaluator_that_stays(newer: Server) -> None:
    newer.digest("hello")
    before = evaluations(newer)

    newer.digest("camelcase")

    assert evaluations(newer) == before == {"nix.evaluator": 1}


def test_a_name_that_is_not_there_is_answered_with_the_one_that_was_meant(newer: Server) -> None:
    answer = newer.get("/v2/helo/manifests/latest")

    assert answer.status_code == 404
    assert "hello" in answer.json()["errors"][0]["message"], answer.text


def test_a_failed_build_is_told_with_its_log(newer: Server) -> None:
    answer = newer.get("/v2/broken-build/manifests/latest")

    assert answer.status_code == 403
    assert "frobnicator 4711 not found" in answer.json()["errors"][0]["message"], answer.text


def evaluations(server: Server) -> dict[str, int]:
    """Processes started for them, by kind."""
    activity = server.get("/debug").json()["activity"]
    return {kind: count for kind, count in activity.items() if kind.startswith("nix.evaluat")}

"""Packages whose texts are commands to terminals: nothing of them reaches image, client or log."""

import unicodedata
from pathlib import Path

import pytest

from tests.e2e.clients import Podman, Skopeo
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(salted_packages: Path, module_server: ServerFactory) -> Server:
    return module_server(salted_packages, NIXERY_LOG_FORMAT="human", NIXERY_FAILURE_SECONDS="60")


def clean(text: str) -> bool:
    """Neither controls nor marks of direction, and nothing that is not seen."""
    return not any(
        unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        for character in text.replace("\n", "").replace("\t", "")
    )


def test_an_image_has_only_plain_texts_of_its_package(server: Server) -> None:
    manifest = server.get("/v2/disguised/manifests/latest").json()

    digest = manifest["config"]["digest"]
    config = server.get(f"/v2/disguised/blobs/{digest}").json()

    assert config["config"]["Labels"]["nixery.packages"].split()[-1].startswith("iana-etc")
    assert "disguised" in config["config"]["Labels"]["nixery.packages"].split()
    assert "Cmd" not in config["config"]
    assert clean(str(manifest))
    assert clean(str(config))


@pytest.mark.parametrize(
    ("package", "shown"),
    [
        ("disguised-licence", "licence evil"),
        ("disguised-vulnerability", "known evil"),
        ("disguised-throw", "thrown evil"),
        ("disguised-build", "disguised-build.drv"),
    ],
)
def test_a_refusal_is_readable_everywhere(
    server: Server, skopeo: Skopeo, podman: Podman, package: str, shown: str
) -> None:
    answer = server.get(f"/v2/{package}/manifests/latest")

    [error] = answer.json()["errors"]
    assert answer.status_code == 403
    assert shown in error["message"]
    assert clean(str(answer.json()))
    for client in (skopeo, podman):
        assert clean(client.try_pull(f"{server.address}/{package}:latest").stderr)


def test_a_collision_of_disguised_names_is_one_plain_header(server: Server) -> None:
    answer = server.get("/v2/disguised-one/disguised-two/manifests/latest")

    [warning] = answer.headers.get_list("warning")
    assert answer.status_code == 200
    assert warning.startswith('299 - "two packages have the same file: /usr/share/file')
    assert warning.count('"') == 2
    assert warning.isascii()
    assert warning.isprintable()


def test_log_and_pages_are_clean(server: Server) -> None:
    server.get("/v2/%1b%5b31m%e2%80%aeevil/manifests/latest")
    server.get("/%1b%5d0;owned%07%e2%80%ae/nothing")
    for name in ("disguised", "disguised-throw", "disguised-build"):
        server.get(f"/v2/{name}/manifests/latest")

    assert clean(server.complete_log())
    for accept in ("text/html", "application/json"):
        builds = server.get("/builds", Accept="application/json").json()["finished"]
        for page in ("/builds", *(build["page"] for build in builds)):
            assert clean(server.get(page, Accept=accept).text)

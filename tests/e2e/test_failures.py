"""What a person reads in a client's terminal when an image cannot be had."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import Client
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.server import Server, ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

# containerd asks with HEAD, whose answer has no text; since 2.3.3 it asks again on 403.
SILENT = {"containerd"}


def test_an_unknown_package_is_named(client: Client, server: Server) -> None:
    done = client.try_pull(f"{server.address}/git/frobnicator:latest")

    assert done.returncode != 0
    if client.name in SILENT:
        assert "not found" in done.stderr
    else:
        assert "manifest unknown" in done.stderr
        assert "frobnicator" in done.stderr.replace("git/frobnicator", "")


def test_a_failed_build_names_derivation_and_last_lines(
    client: Client, failing_server: Server
) -> None:
    done = client.try_pull(f"{failing_server.address}/broken-build:latest")

    assert done.returncode != 0
    if client.name in SILENT:
        assert "403" in done.stderr
    else:
        assert "-broken-build.drv" in done.stderr
        assert "frobnicator 4711 not found" in done.stderr


@pytest.mark.parametrize(
    ("package", "derivation", "reason"),
    [
        ("broken-dependency", "-broken-build.drv", "frobnicator 4711 not found"),
        ("noisy-build", "-noisy-build.drv", "last words of the noisy build"),
        ("no-output", "-no-output.drv", "output"),
    ],
)
def test_the_derivation_that_failed_is_named_with_its_reason(
    package: str, derivation: str, reason: str, failing_server: Server
) -> None:
    answer = failing_server.get(f"/v2/{package}/manifests/latest")

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (403, "UNKNOWN")
    assert derivation in error["message"]
    assert reason in error["message"]


def test_what_no_image_can_hold_is_the_packages_fault(failing_server: Server) -> None:
    answer = failing_server.get("/v2/whiteout/manifests/latest")

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (403, "UNKNOWN")
    assert "-whiteout-1.0 fits in no image" in error["message"]
    assert "begins with .wh." in error["message"]


def test_a_repository_that_proved_to_be_none_has_no_tags(server: Server) -> None:
    assert server.get("/v2/coreutils/frobnicate/manifests/latest").status_code == 404

    answer = server.get("/v2/coreutils/frobnicate/tags/list")

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (404, "NAME_UNKNOWN")
    assert error["message"].startswith("no such package: frobnicate")
    assert server.get("/v2/coreutils/tags/list").json()["tags"] == ["latest"]


def test_pages_contain_no_paths_of_this_host(failing_server: Server, salted_packages: Path) -> None:
    failing_server.get("/v2/broken-build/manifests/latest")
    failing_server.get("/v2/frobnicator/manifests/latest")
    finished = failing_server.get("/builds").json()["finished"]
    assert finished

    for page in ("/debug", "/readyz", "/builds", *(build["page"] for build in finished)):
        for accept in ("application/json", "text/html"):
            text = failing_server.get(page, Accept=accept).text
            assert str(failing_server.storage.parent) not in text
            assert str(salted_packages) not in text


# Texts of package sets that hold their location, and at times a secret.
_TELLING = {
    "file-address": 'throw "see file:${toString ./.}/a.nix and file://${toString ./.}/b.nix"',
    "option": 'throw "gcc -I${toString ./.}/include: no such file"',
    "missing-file": "import ./not/there.nix",
    "missing-archive": """builtins.fetchTarball {
      url = "file://${toString ./.}/no.tar.gz";
      sha256 = "0000000000000000000000000000000000000000000000000000";
    }""",
    "secret": r"""throw "{\"password\": \"hidden\"} --token hidden https://joe:hi@dden@h/x" """,
}


def test_messages_contain_neither_paths_nor_secrets_of_a_package_set(
    packages: Path, new_server: ServerFactory, tmp_path: Path
) -> None:
    directory = tmp_path / "hidden"
    directory.mkdir()
    telling = " ".join(f"{name} = {value};" for name, value in _TELLING.items())
    text = f"arguments: import {packages} arguments // {{ {telling} }}"
    (directory / "default.nix").write_text(text)
    server = new_server(directory)

    for name in _TELLING:
        answer = server.get(f"/v2/{name}/manifests/latest")
        page = server.get(answer.json()["errors"][0]["message"].partition(server.url)[2][:-1])
        assert (answer.status_code, page.status_code) == (403, 200)
        for output in (answer.text, page.text):
            assert name in output
            assert "hidden" not in output
            assert "dden@" not in output
            assert str(tmp_path.parent) not in output


def test_requests_beyond_the_queue_get_a_time_to_retry(
    salted_packages: Path, new_server: ServerFactory, held_build: HeldBuild
) -> None:
    server = new_server(
        salted_packages, NIXERY_BUILDS="1", NIXERY_QUEUE="0", NIXERY_REDIRECT_SECONDS="0.5"
    )
    path = f"/v2/{held_build.package}/manifests/latest"
    first = httpx.get(server.url + path, timeout=300)
    # The first request may be redirected before its build has a place.
    wait_until(lambda: server.stages() == ["building"])

    # It may be redirected, too, before it is refused.
    answer = server.get("/v2/no-output/manifests/latest")

    [error] = answer.json()["errors"]
    seconds = int(answer.headers["Retry-After"])
    assert first.status_code == 307
    assert (answer.status_code, error["code"]) == (429, "TOOMANYREQUESTS")
    assert error["message"] == f"too many builds wait for building; try again in {seconds} s"
    assert 0 < seconds <= 600
    held_build.release()
    assert server.get(path).status_code == 200


@pytest.fixture(scope="module")
def failing_server(salted_packages: Path, module_server: ServerFactory) -> Server:
    return module_server(salted_packages)

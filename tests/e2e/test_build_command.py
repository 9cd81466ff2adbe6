"""``nixery build``: images without a registry, with the digests that the registry serves."""

import json
import sys
from pathlib import Path

import httpx
import pytest

from tests.collector import attributes, collecting
from tests.e2e.clients import Containerd, Docker, Podman
from tests.e2e.docker_registry import serving_docker_registry
from tests.e2e.process import succeed
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

NAME = "shell/git"


@pytest.fixture(scope="module")
def archive(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "image.tar"
    built = server.command("build", NAME, "-o", str(path))
    assert built.returncode == 0, built.stderr
    assert server.digest(NAME) in built.stdout
    return path


def config_digest(server: Server) -> str:
    """Docker identifies an image by its config, whether it was pulled or loaded."""
    manifest = httpx.get(f"{server.url}/v2/{NAME}/manifests/{server.digest(NAME)}", timeout=60)
    return str(manifest.json()["config"]["digest"])


def test_an_archive_loads_and_runs_in_docker(archive: Path, docker: Docker, server: Server) -> None:
    assert "shell/git:latest" in docker.call("load", "--input", str(archive))
    loaded = docker.call("image", "inspect", "--format", "{{.Id}}", "shell/git:latest")
    assert loaded.strip() == config_digest(server)
    assert docker.run("shell/git:latest", "git", "--version").startswith("git version")


def test_an_image_is_built_into_the_docker_daemon(docker: Docker, server: Server) -> None:
    host = docker.command[docker.command.index("--host") + 1]
    environment = {**server.environment, "DOCKER_HOST": host}

    build = (sys.executable, "-m", "app", "build", "jq", "-o", "docker-daemon", "--json")
    built = json.loads(succeed(*build, env=environment))

    assert built["digest"] == server.digest("jq")
    assert docker.run("jq:latest", "jq", "-n", "40 + 2") == "42\n"


def test_a_build_without_a_server_is_traced(server: Server, packages: Path, tmp_path: Path) -> None:
    own = Server(tmp_path / "own", packages)  # nothing is built there

    with collecting() as collector:
        own.environment["NIXERY_OTLP_ENDPOINT"] = collector.url
        built = own.command("build", "jq", "-o", str(tmp_path / "jq.tar"))
        assert built.returncode == 0, built.stderr

    assert server.digest("jq") in built.stdout
    spans = {span.name: span for span in collector.spans}
    assert {"build", "evaluate", "pack"} <= set(spans)
    assert attributes(spans["build"])["nixery.outcome"] == "succeeded"
    assert spans["pack"].parent_span_id == spans["build"].span_id


def test_an_archive_loads_and_runs_in_podman(archive: Path, podman: Podman, server: Server) -> None:
    assert "shell/git:latest" in podman.call("load", "--input", str(archive))
    form = "{{.Digest}} sha256:{{.Id}}"
    loaded = podman.call("image", "inspect", "--format", form, "localhost/shell/git:latest")
    assert loaded.split() == [server.digest(NAME), config_digest(server)]
    assert podman.run("localhost/shell/git:latest", "git", "--version").startswith("git version")


def test_skopeo_reads_the_digest_that_is_served(archive: Path, server: Server) -> None:
    inspected = json.loads(succeed("skopeo", "inspect", f"oci-archive:{archive}"))

    assert inspected["Digest"] == server.digest(NAME)


def test_containerd_imports_the_digest_that_is_served(
    archive: Path, containerd: Containerd, server: Server
) -> None:
    containerd.call("images", "import", str(archive))

    assert server.digest(NAME) in containerd.call("images", "list")


def test_a_layout_has_the_digest_that_is_served_and_is_updated_in_place(
    server: Server, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    for name in (NAME, "jq"):
        built = server.command("build", name, "-o", f"oci:{layout}", "--json")
        assert built.returncode == 0, built.stderr
        digest = json.loads(succeed("skopeo", "inspect", f"oci:{layout}:latest"))["Digest"]
        assert json.loads(built.stdout)["digest"] == server.digest(name) == digest


def test_two_archives_are_equal(archive: Path, server: Server, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"

    assert server.command("build", NAME, "-o", str(again)).returncode == 0

    assert again.read_bytes() == archive.read_bytes()


def test_a_mistyped_name_is_one_line_and_leaves_no_file(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"

    built = server.command("build", "gti", "-o", str(path))

    assert built.returncode == 1
    assert built.stderr.splitlines()[-1] == "nixery build: no such package: gti (did you mean git?)"
    assert list(tmp_path.iterdir()) == []


def test_another_registry_gets_the_digest_that_is_served(server: Server, tmp_path: Path) -> None:
    with serving_docker_registry(tmp_path / "registry") as host:
        pushed = server.command("push", NAME, f"{host}/tools/git:2", "--json")

        assert pushed.returncode == 0, pushed.stderr
        insecure = ("skopeo", "inspect", "--tls-verify=false")
        digest = json.loads(succeed(*insecure, f"docker://{host}/tools/git:2"))["Digest"]
    assert json.loads(pushed.stdout)["digest"] == server.digest(NAME) == digest


def test_doctor_finds_only_caches_that_a_machine_without_network_lacks(server: Server) -> None:
    examined = server.command("doctor", "--json")

    checks = json.loads(examined.stdout)["checks"]
    problems = [check["check"] for check in checks if check["outcome"] == "problem"]
    assert set(problems) <= {"cache"}, checks
    assert examined.returncode == bool(problems)


def test_names_are_warmed_for_the_server(server: Server) -> None:
    warmed = server.command("warm", NAME, "gti", "--json")

    assert warmed.returncode == 1
    digests = {one["image"]: one["digest"] for one in map(json.loads, warmed.stdout.splitlines())}
    assert digests == {NAME: server.digest(NAME), "gti": ""}

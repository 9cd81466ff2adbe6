"""Programs accept and run the files in deploy/; tests/e2e/test_proxy.py runs nginx with its own."""

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from tests.e2e.clients import Docker, Skopeo, pull
from tests.e2e.ports import free_port
from tests.e2e.process import Process, run, succeed
from tests.e2e.releases import unpack
from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.e2e

DEPLOY = ROOT / "deploy"
PROGRAM = "/opt/nixery/.venv/bin/nixery"


def test_systemd_accepts_the_unit_and_finds_it_confined(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "nixery.service").read_text()
    assert text.count(PROGRAM) == 1
    unit = tmp_path / "nixery.service"
    unit.write_text(text.replace(PROGRAM, "/bin/true"))

    verified = succeed("systemd-analyze", "verify", "--man=no", str(unit))
    exposure = succeed(
        "systemd-analyze", "security", "--offline=yes", "--threshold=45", "--no-pager", str(unit)
    )

    assert verified == ""
    assert "Overall exposure level" in exposure


def test_caddy_accepts_its_configuration_with_the_variables_of_compose() -> None:
    config = DEPLOY / "caddy" / "Caddyfile"
    upstream = {"SITE": "registry.test", "UPSTREAM": "nixery:8080"}

    succeed("caddy", "validate", "--adapter", "caddyfile", "--config", str(config))
    adapted = succeed("caddy", "adapt", "--config", str(config), env=upstream)

    assert json.loads(adapted)["apps"]["http"]["servers"]
    assert '"dial":"nixery:8080"' in adapted
    assert '"registry.test"' in adapted


def test_clients_pull_through_caddy(
    server: Server, docker: Docker, skopeo: Skopeo, tmp_path: Path
) -> None:
    address = f"localhost:{free_port()}"
    # Without TLS, since Caddy would add its own authority to the machine's.
    config = tmp_path / "Caddyfile"
    config.write_text("{\n\tadmin off\n}\n" + (DEPLOY / "caddy" / "Caddyfile").read_text())
    caddy = Process(
        ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)],
        log=tmp_path / "log",
        env={"SITE": f"http://{address}", "UPSTREAM": server.address, "HOME": str(tmp_path)},
    )
    try:
        caddy.wait_until(lambda: healthy(address))
        for client in (docker, skopeo):
            pull(client, f"{address}/jq:latest")
            assert client.run(f"{address}/jq:latest", "jq", "-n", "40 + 2") == "42\n"
        passed = httpx.get(f"http://{address}/v2/jq/manifests/latest", timeout=300)
    finally:
        caddy.stop()

    assert passed.headers["Docker-Content-Digest"] == server.digest("jq")
    assert "Content-Encoding" not in passed.headers


def healthy(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/healthz", timeout=10).is_success
    except httpx.TransportError:
        return False


def test_compose_accepts_its_file() -> None:
    file = DEPLOY / "compose" / "compose.yaml"

    read = yaml.safe_load(succeed("docker-compose", "--file", str(file), "config"))

    assert set(read["services"]) == {"nixery", "caddy"}
    assert read["services"]["nixery"]["cap_drop"] == ["ALL"]


@pytest.mark.full
def test_kubectl_reads_the_deployment_with_its_types(tmp_path: Path) -> None:
    manifests = (DEPLOY / "kubernetes" / "nixery.yaml").read_text()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(manifests.replace("replicas: 1", "replicas: one"))
    tree = unpack("trixie", lambda _: ["kubectl"], tmp_path / "tree")
    kubectl = str(tree / "usr/bin/kubectl")
    # No cluster is asked: "annotate" reads each document, "set image" decodes pods by their types.
    annotate = (kubectl, "annotate", "--local", "--output=name", "read=yes", "--filename")
    image = (kubectl, "set", "image", "--local", "--output=yaml", "nixery=registry.test/n:1")

    read = succeed(*annotate, str(DEPLOY / "kubernetes" / "nixery.yaml"))
    deployment = tmp_path / "deployment.yaml"
    [text] = [text for text in manifests.split("\n---\n") if "kind: Deployment" in text]
    deployment.write_text(text)
    changed = yaml.safe_load(succeed(*image, "--filename", str(deployment)))
    refused = run(*image, "--filename", str(wrong))

    assert read.split() == [
        "persistentvolumeclaim/nixery-storage",
        "deployment.apps/nixery",
        "service/nixery",
        "ingress.networking.k8s.io/nixery",
    ]
    [container] = changed["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.test/n:1"
    assert (
        container["readinessProbe"]
        == yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    )
    assert "cannot unmarshal string" in refused.stderr


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    rules = DEPLOY / "prometheus" / "alerts.yml"

    checked = succeed("promtool", "check", "rules", str(rules))
    succeed("promtool", "test", "rules", str(rules.with_name("alerts_test.yml")))
    succeed("promtool", "check", "config", str(rules.with_name("scrape.yml")))

    assert re.search(rf"SUCCESS: {rules.read_text().count('alert:')} rules found", checked)

"""Files in deploy/ are valid, and name settings, metrics and limits that exist."""

import configparser
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from app.settings.names import CONFIG_VARIABLE, variables
from app.settings.sections.storage import GcsBackend
from app.settings.settings import Settings
from tests import docpages
from tests.docpages import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
KNOWN = {CONFIG_VARIABLE, *(name for field in Settings.model_fields for name in variables(field))}
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
METRIC = re.compile(r"\bnixery_[a-z_]+")


def named(path: Path) -> str:
    return path.relative_to(DEPLOY).as_posix()


def kubernetes(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "nixery.yaml").read_text())
    found: dict[str, Any]
    [found] = [document for document in documents if document["kind"] == kind]
    return found


def compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    services: dict[str, Any] = document["services"]
    return services


def container() -> dict[str, Any]:
    found: dict[str, Any]
    [found] = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("path", FILES, ids=named)
def test_settings_exist(path: Path) -> None:
    assert set(re.findall(r"\bNIXERY_[A-Z_]+", path.read_text())) - KNOWN == set()


def test_every_file_is_listed_for_readers() -> None:
    page = DEPLOY / "README.md"

    assert [path for path in FILES if path != page and path.name not in page.read_text()] == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_comments_name_pages_that_exist(path: Path) -> None:
    pages = re.findall(r"(?:docs|deploy)/[\w./-]+[\w]", path.read_text())

    assert [page for page in pages if not (ROOT / page).exists()] == []


def environments() -> dict[str, dict[str, str]]:
    return {
        "kubernetes": {entry["name"]: entry["value"] for entry in container()["env"]},
        "compose": compose()["nixery"]["environment"],
    }


@pytest.mark.parametrize("kind", ["kubernetes", "compose"])
def test_server_starts_with_these_settings(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environments()[kind].items():
        assert isinstance(value, str)
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert str(settings.host) == "0.0.0.0"
    assert settings.external_url
    assert settings.trusted_proxies


@pytest.mark.slow
def test_paths_of_settings_are_volumes() -> None:
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    volumes = {volume.partition(":")[2] for volume in compose()["nixery"]["volumes"]}

    for kind, mounted in (("kubernetes", mounts), ("compose", volumes)):
        environment = environments()[kind]
        assert {
            environment["NIXERY_STORAGE_PATH"],
            environment["NIXERY_STATE_PATH"],
        } <= mounted


def test_probes_wait_as_long_as_the_checks_take() -> None:
    pod = container()

    assert pod["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod["readinessProbe"]["timeoutSeconds"] > 10
    assert pod["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert pod["startupProbe"]["httpGet"]["path"] == "/healthz"


def _is_part(part: object, whole: object) -> bool:
    """Return whether a document has all of another one: items of lists in any order."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(any(_is_part(item, found) for found in whole) for item in part)
    return part == whole


def test_the_page_of_kubernetes_shows_parts_of_the_manifest() -> None:
    page = ROOT / "docs" / "kubernetes.md"
    fields, annotations, _ = (
        yaml.safe_load(block.text) for block in docpages.blocks("yaml") if block.page == page
    )

    assert _is_part(fields, kubernetes("Deployment")["spec"]["template"]["spec"])
    assert _is_part(annotations, kubernetes("Ingress")["metadata"]["annotations"])
    assert not _is_part({"containers": [{"image": "x"}]}, {"containers": [{"image": "y"}]})


def _changed(old: object, new: object) -> object:
    """Merge documents as ``kubectl patch`` does: items of lists by their names."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _changed(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        by_name = {item["name"]: item for item in old}
        changed = {item["name"]: _changed(by_name.get(item["name"]), item) for item in new}
        return list((by_name | changed).values())
    return new


@pytest.mark.slow
def test_replicas_with_a_bucket_start_with_the_changes_on_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = ROOT / "docs" / "kubernetes.md"
    [change] = [
        yaml.safe_load(block.text)
        for block in docpages.blocks("yaml")
        if block.page == page and "replicas" in block.text
    ]

    changed: Any = _changed(kubernetes("Deployment"), change)
    kubernetes_validate.validate(changed, kubernetes_validate.latest_version(), strict=True)
    [server] = changed["spec"]["template"]["spec"]["containers"]
    for entry in server["env"]:
        monkeypatch.setenv(entry["name"], entry["value"])

    assert isinstance(Settings().backend, GcsBackend)
    assert changed["spec"]["replicas"] > 1


def test_stopping_leaves_time_for_the_drain() -> None:
    needed = DEFAULTS["drain_seconds"] + 20
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "systemd" / "nixery.service").read_text())

    assert int(unit["Service"]["TimeoutStopSec"]) >= needed
    assert int(compose()["nixery"]["stop_grace_period"].removesuffix("s")) >= needed
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= needed


def test_proxies_wait_longer_than_the_last_request_of_a_pull() -> None:
    held = DEFAULTS["hold_seconds"]
    annotations = kubernetes("Ingress")["metadata"]["annotations"]
    nginx = (DEPLOY / "nginx" / "nixery.conf").read_text()
    caddy = (DEPLOY / "caddy" / "Caddyfile").read_text()

    limits = [
        *re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", nginx),
        *re.findall(r"(?:response_header|read)_timeout (\d+)s", caddy),
        annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"],
    ]

    assert len(limits) == 5
    assert all(int(limit) > held for limit in limits)


def test_nginx_is_configured_as_documented() -> None:
    page = re.search(
        r"```nginx\nlocation / \{\n(.*?)\}\n```", (ROOT / "docs/wire.md").read_text(), re.DOTALL
    )
    assert page
    documented = {line.strip() for line in page[1].splitlines()}
    configured = {
        line.strip() for line in (DEPLOY / "nginx" / "nixery.conf").read_text().splitlines()
    }

    assert documented - configured == set()


@pytest.mark.parametrize("name", ["prometheus/alerts.yml", "grafana/nixery.json"])
def test_metrics_are_documented(name: str) -> None:
    text = (DEPLOY / name).read_text()
    used = {re.sub("_(bucket|sum|count)$", "", metric) for metric in METRIC.findall(text)}
    page = (ROOT / "docs" / "metrics.md").read_text()

    assert used
    assert [metric for metric in sorted(used) if metric not in METRIC.findall(page)] == []


def test_every_documented_condition_has_an_alert() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    expressions = {rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    page = (ROOT / "docs" / "metrics.md").read_text().partition("## What to be warned about")[2]

    documented = {
        span for span in re.findall(r"^\| `([^`]+)`", page, re.MULTILINE) if METRIC.search(span)
    }

    assert documented
    assert documented <= expressions


def test_panels_of_the_dashboard_have_queries_and_do_not_overlap() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "nixery.json").read_text())
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]

    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


@pytest.mark.slow
def test_kubernetes_accepts_the_manifests_by_its_schemas() -> None:
    version = kubernetes_validate.latest_version()
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "nixery.yaml").read_text()))

    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
        misspelt = document | {"spec": document["spec"] | {"replica": 1}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(misspelt, version, strict=True)

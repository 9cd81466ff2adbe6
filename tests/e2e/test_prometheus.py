"""A real Prometheus reads the server's metrics and evaluates the alert rules of deploy/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.ports import free_port
from tests.e2e.process import Process
from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.e2e

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"


class Prometheus:
    def __init__(self, home: Path, target: str) -> None:
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": "nixery", "static_configs": [{"targets": [target]}]},
            ],
        }
        file = home / "prometheus.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = Process(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            log=home / "log",
        )

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401  # any JSON
        response = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=300)
        assert response.is_success, response.text
        body = response.json()
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result

    def is_ready(self) -> bool:
        """Return whether it serves its API: until its storage is open, every path is 503."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=300).is_success
        except httpx.TransportError:
            return False

    def has_scraped(self) -> bool:
        return bool(self.query('up{job="nixery"} == 1')) and bool(
            self.query('nixery_pulls_total{result="started"} > 0')
        )

    def rules(self) -> list[dict[str, Any]]:
        (group,) = self.get("rules")["groups"]
        rules: list[dict[str, Any]] = group["rules"]
        return rules


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[Prometheus]:
    server.digest("jq")
    started = Prometheus(tmp_path, server.address)
    try:
        started.process.wait_until(started.is_ready)
        started.process.wait_until(started.has_scraped)
        yield started
    finally:
        started.process.stop()


def test_prometheus_scrapes_the_server_and_evaluates_the_rules(
    prometheus: Prometheus, server: Server
) -> None:
    (target,) = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")

    shares = prometheus.query("nixery_disk_free_bytes / nixery_disk_size_bytes")
    assert {one["metric"]["directory"] for one in shares} == {"storage", "state", "nix-store"}
    assert all(0 <= float(one["value"][1]) <= 1 for one in shares)
    phases = prometheus.query("nixery_build_phase_seconds_count")
    assert {"evaluate", "pack", "store"} <= {one["metric"]["phase"] for one in phases}
    types = {name: found[0]["type"] for name, found in prometheus.get("metadata").items()}
    assert types["nixery_disk_free_bytes"] == "gauge"
    assert types["nixery_build_seconds"] == "histogram"

    prometheus.process.wait_until(
        lambda: all(rule["health"] == "ok" for rule in prometheus.rules())
    )
    alerts = {rule["name"]: rule for rule in prometheus.rules()}
    assert "NixeryDiskAlmostFull" in alerts
    assert alerts["NixeryDown"]["state"] == "inactive"
    for rule in alerts.values():
        assert not rule.get("lastError")

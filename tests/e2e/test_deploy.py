"""Programs accept the files in deploy/; tests/e2e/test_proxy.py runs nginx with its own."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.process import succeed
from tests.e2e.server import ROOT

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


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    rules = DEPLOY / "prometheus" / "alerts.yml"

    checked = succeed("promtool", "check", "rules", str(rules))
    succeed("promtool", "test", "rules", str(rules.with_name("alerts_test.yml")))
    succeed("promtool", "check", "config", str(rules.with_name("scrape.yml")))

    assert re.search(rf"SUCCESS: {rules.read_text().count('alert:')} rules found", checked)

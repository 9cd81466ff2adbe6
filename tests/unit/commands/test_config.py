"""``nixery config``: values, origins, and the schema of the file."""

import json
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from app.commands import cli
from app.settings.origins import file_schema
from app.settings.settings import Settings
from tests import docpages

FILE = """
layer_budget = 30
realisations = 5
popularity = "https://joe:hunter2@example.org/plan?token=hunter2"
trusted_proxies = "10.0.0.0/8"

[[sources]]
name = "team"
kind = "git"
location = "https://git.example.org/packages.git"
token_file = "/run/secrets/git"
"""


def run(*arguments: str) -> int:
    return cli.run(["config", *arguments], serve=lambda: None)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "nixery.toml"
    path.write_text(FILE)
    monkeypatch.setenv("NIXERY_CONFIG", str(path))
    monkeypatch.setenv("NIXERY_LAYER_BUDGET", "40")
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("NIXERY_SERVICE_HOST", "10.1.1.1")
    return path


def test_each_setting_has_its_value_and_its_origin(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json") == 0

    out = capsys.readouterr().out
    found = {one["setting"]: one for one in json.loads(out)}
    assert list(found) == list(Settings.model_fields)
    origins = {name: (one["value"], one["origin"], one["place"]) for name, one in found.items()}
    assert origins["layer_budget"] == (40, "environment", "NIXERY_LAYER_BUDGET")
    assert origins["port"] == (5000, "environment", "PORT")
    assert origins["builds"] == (5, "file", str(file))
    assert origins["host"] == ("127.0.0.1", "default", "")
    assert found["port"]["variable"] == "NIXERY_PORT"


def test_secrets_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert run("--json") == 0

    out = capsys.readouterr().out
    assert "https://***@example.org/plan?token=***" in out
    assert "hunter2" not in out


def test_text_has_a_line_for_each_setting(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(Settings.model_fields)
    assert "NIXERY_LAYER_BUDGET = 40  # environment" in lines
    assert "NIXERY_PORT = 5000  # environment PORT" in lines
    assert f"NIXERY_BUILDS = 5  # file {file}" in lines
    assert "NIXERY_HOST = 127.0.0.1  # default" in lines
    assert "NIXERY_WEB_DIR =   # default" in lines


def test_settings_without_a_file_have_no_origin_in_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NIXERY_CONFIG")

    assert run() == 0

    assert "# file" not in capsys.readouterr().out


def test_invalid_settings_are_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIXERY_PORT", "many")

    assert run() == 1

    assert "nixery config: NIXERY_PORT" in capsys.readouterr().err


@pytest.mark.slow
def test_schema_accepts_every_documented_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--schema") == 0

    schema = jsonschema_rs.validator_for(json.loads(capsys.readouterr().out))
    documented = [block for block in docpages.blocks("toml") if not block.mark]
    assert documented
    for block in documented:
        document = tomllib.loads(block.text)
        assert [error.message for error in schema.iter_errors(document)] == [], block
    assert schema.is_valid({"architectures": "amd64,arm64"})
    assert schema.is_valid({"architectures": ["amd64"]})


@pytest.mark.parametrize("document", [{"prot": 1}, {"port": "many"}, {"sources": [{"name": "a"}]}])
def test_schema_rejects_what_a_server_rejects(document: dict[str, object]) -> None:
    assert not jsonschema_rs.validator_for(file_schema()).is_valid(document)

"""The Nix files for users of nixpkgs, evaluated with a stand-in for it (tests/nix/nixpkgs.nix)."""

import json
import tomllib
from typing import Any

import pytest

from tests.docpages import ROOT
from tests.e2e.process import succeed

pytestmark = pytest.mark.nix

FILES = ("flake.nix", "nix/package.nix", "nix/image.nix", "nix/module.nix")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
YES = {True: "yes", False: "no"}


def evaluate(expression: str) -> Any:  # noqa: ANN401  # JSON
    text = f"let pkgs = import {ROOT}/tests/nix/nixpkgs.nix; root = {ROOT};"
    text += f" source.outPath = toString root; in {expression}"
    return json.loads(succeed("nix-instantiate", "--eval", "--strict", "--json", "-E", text))


@pytest.mark.parametrize("file", FILES)
def test_a_file_parses(file: str) -> None:
    succeed("nix-instantiate", "--parse", str(ROOT / file))


def test_the_package_has_the_requirements_of_the_project_and_the_book() -> None:
    package = evaluate(
        "let p = pkgs.callPackage (root + /nix/package.nix) { inherit source; }; in {"
        " inherit (p) pname version makeWrapperArgs; book = p.passthru.book.script;"
        " dependencies = map (d: { inherit (d) name; src = d.src or null; }) p.dependencies;"
        " without = (pkgs.callPackage (root + /nix/package.nix) { inherit source; withBook = false; }).makeWrapperArgs; }"
    )

    assert (package["pname"], package["version"]) == (PROJECT["name"], PROJECT["version"])
    assert len(package["dependencies"]) == len(PROJECT["dependencies"])
    wheels = [found["src"] for found in package["dependencies"] if found["src"]]
    assert wheels
    lock = (ROOT / "uv.lock").read_text()
    assert all(wheel["hash"] in lock and wheel["url"] in lock for wheel in wheels)
    assert "scripts.book" in package["book"]
    assert "NIXERY_WEB_DIR" in package["makeWrapperArgs"]
    assert "NIXERY_WEB_DIR" not in package["without"]


def test_the_image_takes_the_arguments_of_googles_nixery() -> None:
    image = evaluate(
        "let i = pkgs.callPackage (root + /nix/image.nix) {"
        '  nixery = { outPath = "/nixery"; version = "1"; meta.mainProgram = "nixery"; };'
        '  preLaunch = "write-key"; extraPackages = [ { name = "extra"; } ]; maxLayers = 7; };'
        " in { inherit (i) name maxLayers config includeNixDB;"
        " contents = map (p: p.name or p.outPath) i.contents;"
        " launch = (builtins.head (builtins.filter (p: p ? script) i.contents)).script; }"
    )

    assert image["maxLayers"] == 7
    assert "extra" in image["contents"]
    assert "nix" in image["contents"]
    assert image["launch"].split() == [
        "set",
        "-e",
        "write-key",
        "exec",
        "/nixery/bin/nixery",
        '"$@"',
    ]
    assert image["config"]["Cmd"] == ["/nix/store/nixery-launch/bin/nixery-launch"]


def service(settings: str) -> Any:  # noqa: ANN401  # JSON
    return evaluate(
        "let m = import (root + /nix/module.nix) {"
        "  inherit pkgs; inherit (pkgs) lib;"
        '  config = { nix.package = "/nix"; services.nixery = {'
        "   enable = true; package = pkgs.nix; settings = { }; environmentFile = null;"
        f"  openFirewall = false; }} // {settings}; }}; }};"
        " in m.config"
    )


def test_the_service_is_confined_as_the_unit_for_other_distributions() -> None:
    unit = (ROOT / "deploy/systemd/nixery.service").read_text().partition("[Service]")[2]
    lines = dict(
        line.split("=", 1) for line in unit.splitlines() if "=" in line and line[0].isupper()
    )
    expected = {k: v for k, v in lines.items() if k not in ("ExecStart", "Environment", "WantedBy")}

    configured = service("{ }")["systemd"]["services"]["nixery"]["serviceConfig"]

    def written(value: object) -> str:
        if isinstance(value, bool):
            return YES[value]
        return " ".join(value) if isinstance(value, list) else str(value)

    assert {k: written(v) for k, v in configured.items() if k != "ExecStart"} == expected


def test_the_service_has_its_port_and_secrets() -> None:
    config = service('{ openFirewall = true; settings.port = 81; environmentFile = "/run/s"; }')

    assert config["networking"]["firewall"]["allowedTCPPorts"] == [81]
    assert config["systemd"]["services"]["nixery"]["serviceConfig"]["EnvironmentFile"] == "/run/s"
    assert service("{ enable = false; }") == {}


def test_the_flake_has_packages_and_a_module() -> None:
    outputs = evaluate(
        "let o = (import (root + /flake.nix)).outputs {"
        " self = source; nixpkgs = { inherit (pkgs) lib; legacyPackages = {"
        "  x86_64-linux = pkgs; aarch64-linux = pkgs; }; }; };"
        " in { packages = builtins.mapAttrs (_: builtins.attrNames) o.packages;"
        " module = builtins.isFunction o.nixosModules.default; }"
    )

    names = ["book", "default", "image", "nixery"]
    assert outputs == {
        "module": True,
        "packages": {"aarch64-linux": names, "x86_64-linux": names},
    }

"""Which architectures names have, and which one is the server's own."""

import platform
from pathlib import Path

import pytest

from app.settings.loading import SettingsError, load_settings

INTEL, ARM = "x86_64-linux", "aarch64-linux"


@pytest.mark.parametrize(("machine", "system"), [("x86_64", INTEL), ("aarch64", ARM)])
def test_the_default_is_the_machines_own(
    monkeypatch: pytest.MonkeyPatch, machine: str, system: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)

    settings = load_settings()

    assert (settings.systems, settings.own_system) == ((system,), system)


@pytest.mark.parametrize("given", ["amd64,arm64", "arm64, amd64", "arm64,amd64,arm64,"])
def test_the_order_of_an_index_is_fixed(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("NIXERY_ARCHITECTURES", given)

    assert load_settings().systems == (INTEL, ARM)


@pytest.mark.parametrize(
    ("machine", "given", "own"),
    [
        ("x86_64", "amd64,arm64", INTEL),
        ("aarch64", "amd64,arm64", ARM),
        ("x86_64", "arm64", ARM),
        ("aarch64", "amd64", INTEL),
    ],
)
def test_the_servers_own_is_the_machines_if_it_is_served(
    monkeypatch: pytest.MonkeyPatch, machine: str, given: str, own: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setenv("NIXERY_ARCHITECTURES", given)

    assert load_settings().own_system == own


def test_the_setting_of_the_system_chooses_the_servers_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(f'architectures = ["amd64", "arm64"]\nsystem = "{ARM}"\n')
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    settings = load_settings()

    assert (settings.systems, settings.own_system) == ((INTEL, ARM), ARM)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NIXERY_ARCHITECTURES": "amd64,riscv64"}, "NIXERY_ARCHITECTURES"),
        (
            {"NIXERY_ARCHITECTURES": "amd64", "NIXERY_SYSTEM": ARM},
            "NIXERY_ARCHITECTURES lacks arm64, the architecture of NIXERY_SYSTEM",
        ),
    ],
)
def test_other_values_are_rejected(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=message):
        load_settings()

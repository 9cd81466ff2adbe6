"""Settings as /debug shows them, to the public."""

from pathlib import Path

from app.builder.sources.definition import GitDefinition, PathDefinition
from app.settings.settings import Settings
from app.wiring.shown import shown_settings


def test_settings_are_shown_without_credentials_and_directories() -> None:
    settings = Settings(
        pkgs_repo="file:///srv/hidden/packages",
        plan="https://joe:hunter2@example.org/popularity?token=hunter2",
        storage_path=Path("/hidden"),
        state_path=Path("/srv/hidden/state"),
        sources=(
            PathDefinition(name="own", location=Path("/srv/hidden/own")),
            GitDefinition(name="git", location="git+file:///srv/hidden/more"),
        ),
    )

    shown = shown_settings(settings)

    assert shown["NIXERY_PKGS_REPO"] == "file:packages"
    assert shown["NIXERY_PLAN"] == "https://***@example.org/popularity?token=***"
    assert shown["NIXERY_STATE_PATH"] == "state"
    assert not [value for value in shown.values() if "hunter2" in value or "srv" in value]
    assert not [
        value
        for name, value in shown.items()
        if "/" in value and name not in ("NIXERY_PLAN", "NIXERY_TRUSTED_PROXIES")
    ]
    assert "hidden/" not in str(shown)

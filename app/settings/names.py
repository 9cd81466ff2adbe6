"""The environment variables of settings, and the names that settings had in earlier versions."""

from collections.abc import Iterable

from pydantic import AliasChoices

CONFIG_VARIABLE = "NIXERY_CONFIG"
PREFIX = "NIXERY_"

# By setting: variables of Google's Nixery and of earlier versions, which keep working.
_FORMER_VARIABLES = {
    "build_seconds": ("NIX_TIMEOUT",),
    "builds": ("NIXERY_REALISATIONS",),
    "gcs_bucket": ("GCS_BUCKET",),
    "plan": ("NIXERY_POPULARITY", "NIX_POPULARITY_URL"),
    "port": ("PORT",),
    "redirect_seconds": ("NIXERY_HOP_SECONDS",),
    "redirects": ("NIXERY_HOPS",),
    "storage": ("NIXERY_STORAGE_BACKEND",),
    "storage_path": ("STORAGE_PATH",),
    "web_dir": ("WEB_DIR",),
}


def variables(setting: str) -> tuple[str, ...]:
    """Return the environment variables of a setting, the recommended one first."""
    return (f"{PREFIX}{setting.upper()}", *_FORMER_VARIABLES.get(setting, ()))


def validation_alias(setting: str) -> AliasChoices:
    return AliasChoices(*variables(setting))


def with_current_names(file: dict[str, object], settings: Iterable[str]) -> dict[str, object]:
    """Return the contents of a configuration file under the current names of its settings.

    Each variable that starts with ``NIXERY_`` has a name in the file: the rest of it, in lower
    case.  Raises ValueError for a setting that is given under two names.
    """
    current = {
        variable.removeprefix(PREFIX).lower(): setting
        for setting in settings
        for variable in variables(setting)
        if variable.startswith(PREFIX)
    }
    renamed: dict[str, object] = {}
    for name, value in file.items():
        setting = current.get(name, name)
        if setting in renamed:
            raise ValueError(f"{setting} is set twice, once under its old name; delete one line")
        renamed[setting] = value
    return renamed

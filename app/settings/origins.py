"""Where the value of each setting comes from, and the schema of the configuration file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.settings.environment import process_environment
from app.settings.names import CONFIG_VARIABLE, variables, with_current_names
from app.settings.service_links import without_service_links
from app.settings.settings import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Settings that a string with commas can give as well.
_SEPARATED = ("architectures", "trusted_proxies")


class OriginKind(StrEnum):
    """The kind of place in which a value was set."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set.

    ``place`` is the variable or the file, "" for a default.
    """

    kind: OriginKind
    place: str = ""


def origins() -> dict[str, Origin]:
    """Return the origin of each setting, for an environment and a file that are valid."""
    environment = without_service_links(process_environment())
    path = environment.get(CONFIG_VARIABLE, "")
    written = _written(path)
    return {setting: _origin(setting, environment, path, written) for setting in _names()}


def file_schema() -> dict[str, Any]:
    """Return a JSON Schema of the configuration file, under the current names of settings."""
    schema = Settings.model_json_schema(by_alias=False)
    for setting in _SEPARATED:
        written = schema["properties"][setting]
        kept = {name: written.pop(name) for name in ("items", "type") if name in written}
        written["anyOf"] = [{"type": "string"}, kept]
    for definition in schema["$defs"].values():
        if "kind" in definition.get("properties", ()):
            definition["required"] = ["kind", *definition.get("required", ())]
    return {"$schema": _DIALECT, **schema, "title": "Configuration file of nixery"}


def _names() -> tuple[str, ...]:
    return tuple(Settings.model_fields)


def _written(path: str) -> frozenset[str]:
    if not path:
        return frozenset()
    contents = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return frozenset(with_current_names(contents, _names()))


def _origin(
    setting: str, environment: Mapping[str, str], path: str, written: frozenset[str]
) -> Origin:
    variable = next((name for name in variables(setting) if name in environment), None)
    if variable is not None:
        return Origin(OriginKind.ENVIRONMENT, variable)
    if setting in written:
        return Origin(OriginKind.FILE, path)
    return Origin(OriginKind.DEFAULT)

"""``nixery config``: the settings with their origins, and a schema of the file."""

import json
import sys
from typing import Annotated, Any

import typer

from app.commands.failures import exit_on_errors
from app.settings.loading import load_settings
from app.settings.names import variables
from app.settings.origins import Origin, OriginKind, file_schema, origins
from app.settings.settings import Settings
from app.text.redact import without_credentials
from app.text.sanitize import printable


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print a JSON Schema of the configuration file.")
    ] = False,
) -> None:
    """Print each setting with its value, and where the value comes from.

    Passwords and tokens in values are replaced by stars.
    """
    with exit_on_errors("config", interrupted="nothing was changed"):
        if schema:
            _print_document(file_schema())
            return
        settings, found = load_settings(), origins()
        if as_json:
            _print_document(_document(settings, found))
            return
        for setting, value in _values(settings).items():
            name = variables(setting)[0]
            text = printable(f"{name} = {_text(value)}  # {_described(found[setting], name)}")
            sys.stdout.write(f"{text}\n")


def _values(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = _without_secrets(settings.model_dump(mode="json"))
    return values


def _document(settings: Settings, found: dict[str, Origin]) -> list[dict[str, Any]]:
    return [
        {
            "setting": setting,
            "variable": variables(setting)[0],
            "value": value,
            "origin": found[setting].kind,
            "place": found[setting].place,
        }
        for setting, value in _values(settings).items()
    ]


def _without_secrets(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_secrets(one) for name, one in value.items()}
    return value


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _described(origin: Origin, name: str) -> str:
    if origin.kind is OriginKind.DEFAULT:
        return "default"
    return "environment" if origin.place == name else f"{origin.kind} {origin.place}"


def _print_document(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")

"""The operations and documents of an OpenAPI description, for pages without scripts and the book."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_REFERENCE = "#/components/schemas/"
# What FastAPI writes where a response has no description of its own.
_DEFAULTS = {"Successful Response", *(status.phrase for status in HTTPStatus)}


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a member of a document."""

    name: str
    type: str
    meaning: str
    required: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A status; ``document`` is the name of the body's schema, if it has one."""

    status: str
    meaning: str
    document: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path, as the outline shows it."""

    methods: str
    path: str
    summary: str
    parameters: tuple[Field, ...]
    outcomes: tuple[Outcome, ...]


def operations(description: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield the operations in the order of their paths; HEAD together with GET."""
    for path, methods in sorted(description["paths"].items()):
        for method, operation in methods.items():
            if method == "head":
                continue
            names = (method, "head") if method == "get" and "head" in methods else (method,)
            yield Operation(
                methods=", ".join(names).upper(),
                path=path,
                summary=operation["summary"],
                parameters=tuple(map(_parameter, operation.get("parameters", ()))),
                outcomes=tuple(_outcomes(operation["responses"])),
            )


def documents(description: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Field, ...]]]:
    """Yield the name and members of each document with members."""
    for name, schema in sorted(description["components"]["schemas"].items()):
        required = schema.get("required", ())
        members = schema.get("properties", {}).items()
        fields = tuple(
            Field(member, _type(value), value.get("description", ""), member in required)
            for member, value in members
        )
        if fields:
            yield name, fields


def _parameter(parameter: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    meaning = parameter.get("description", "")
    if schema.get("default"):
        meaning = f"{meaning}; by default {schema['default']}".removeprefix("; ")
    required = bool(parameter.get("required"))
    return Field(parameter["name"], _type(schema), meaning, required, place=parameter["in"])


def _outcomes(responses: Mapping[str, Any]) -> Iterator[Outcome]:
    for status, response in sorted(responses.items()):
        if status.endswith("XX"):  # the errors of every operation
            continue
        meaning = response.get("description", "")
        bodies = response.get("content", {}).values()
        names = dict.fromkeys(_type(body.get("schema", {})) for body in bodies)
        known = [name for name in names if name[:1].isupper()]
        yield Outcome(status, "" if meaning in _DEFAULTS else meaning, " or ".join(known))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    if choices := schema.get("anyOf") or schema.get("allOf"):
        return " or ".join(_type(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(of := schema.get("additionalProperties"), Mapping):
        return f"map of {_type(of)}"
    return str(schema.get("type", "value"))

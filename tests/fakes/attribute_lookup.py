"""What a name means in a package set that is a value, as nix/lookup.nix finds it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.builder.nix.results import Ambiguous, NotFound
from tests.fakes.package_set import (
    Aborts,
    Attribute,
    Endless,
    Package,
    Packages,
    Throws,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a package, chosen by name: ``openssl.dev``."""

    package: Package
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """A value, and the attribute path that leads to it."""

    path: tuple[str, ...]
    value: Attribute | Output


def find(attributes: Mapping[str, Attribute], name: str) -> Place | Ambiguous | NotFound:
    """Find a name; an attribute on the way that has an error is the result."""
    if name in attributes:
        return Place((name,), attributes[name])
    place = Place((), attributes)
    for component in name.split("."):
        inner = inside(place.value)
        if inner is None:
            return place if _has_error(place.value) else NotFound()
        found = _candidates(inner, component)
        if not found:
            return NotFound()
        if len(found) > 1:
            return Ambiguous(candidates=tuple(".".join((*place.path, one)) for one in found))
        place = Place((*place.path, found[0]), inner[found[0]])
    return place


def inside(value: Attribute | Output) -> Mapping[str, Attribute | Output] | None:
    """Return the attributes of a value; None if it is not a set."""
    match value:
        case Package():
            return {output: Output(value, output) for output in value.outputs}
        case Packages(attributes):
            return attributes
        case Mapping():
            return value
        case _:
            return None


def _has_error(value: Attribute | Output) -> bool:
    return isinstance(value, Throws | Aborts | Endless | Unreachable)


def _candidates(inner: Mapping[str, object], component: str) -> list[str]:
    is_number = re.match(r"[0-9]", component) is not None
    if component in inner:
        return [component]
    if is_number and f"_{component}" in inner:
        return [f"_{component}"]
    folded = component.lower()
    wanted = {folded, f"_{folded}"} if is_number else {folded}
    return sorted(name for name in inner if name.lower() in wanted)

"""Wanted packages for tests."""

from collections.abc import Mapping
from typing import Any

from nix.debian.generator.resolver import Resolver, make_resolver
from nix.debian.generator.wanted import Rules, Wanted, parse_unit

Index = Mapping[str, Mapping[str, str]]


def wanting(
    attributes: Mapping[str, str],
    *,
    units: Mapping[str, Mapping[str, Any]] | None = None,
    drop: tuple[str, ...] = (),
    prefer: Mapping[str, str] | None = None,
    add: Mapping[str, tuple[str, ...]] | None = None,
    cut: Mapping[str, tuple[str, ...]] | None = None,
) -> Wanted:
    return Wanted(
        attributes=attributes,
        rules=Rules(drop=drop, prefer=prefer or {}, add=add or {}, cut=cut or {}),
        units={name: parse_unit(name, table) for name, table in (units or {}).items()},
        runtime=(),
        digest="",
    )


def resolver(index: Index, **arguments: Any) -> Resolver:  # noqa: ANN401  handed on as they are
    return make_resolver(index, wanting({}, **arguments))

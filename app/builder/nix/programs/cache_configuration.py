"""The parts of Nix's configuration that decide what is downloaded from where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES, SHOW_CONFIGURATION
from app.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class CacheConfiguration:
    """Settings of nix.conf; files are "" where none is set."""

    substituters: tuple[str, ...]
    trusted_public_keys: tuple[str, ...]
    require_signatures: bool
    netrc_file: str
    certificates: str
    substitute: bool


async def cache_configuration(
    programs: Programs, options: Sequence[str], *, certificates: str = ""
) -> CacheConfiguration:
    """Query the settings of Nix; ``certificates`` are those that the environment names.

    Raises StoreUnavailable, Unavailable.
    """
    for command in SHOW_CONFIGURATION:
        finished = await programs.query(
            "configuration", ["nix", *command, "--json", *FEATURES, *options]
        )
        if finished.code == 0:
            try:
                return parse_configuration(json.loads(finished.stdout), certificates)
            except ValueError as error:
                raise StoreUnavailable(f"Nix cannot show its configuration: {error}") from None
    raise StoreUnavailable("Nix cannot show its configuration")


def parse_configuration(document: object, certificates: str = "") -> CacheConfiguration:
    """Parse the JSON of ``nix show-config``.  Raises ValueError."""
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004  foreign data
    return CacheConfiguration(
        substituters=_list(document, "substituters"),
        trusted_public_keys=_list(document, "trusted-public-keys"),
        require_signatures=_value(document, "require-sigs") is not False,
        netrc_file=_file(document, "netrc-file"),
        # Nix 2.8 reads the environment, and has no setting.
        certificates=_file(document, "ssl-cert-file") or certificates,
        substitute=_value(document, "substitute") is not False,
    )


def _value(document: Mapping[str, object], name: str) -> object:
    entry = document.get(name)
    return entry.get("value") if isinstance(entry, dict) else None


def _list(document: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = _value(document, name)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _file(document: Mapping[str, object], name: str) -> str:
    value = _value(document, name)
    return value if isinstance(value, str) else ""

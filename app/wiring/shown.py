"""Settings and counters, as /debug shows them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.programs.command import NixCommand
from app.settings.names import variables
from app.settings.settings import Settings
from app.telemetry.lookups import as_activity
from app.text.sanitize import one_line_for_client

_LIMIT = 300


def shown_settings(settings: Settings) -> dict[str, str]:
    """Return each setting that has a value, by its variable; safe for the public.

    Credentials are removed, and only the last component of a path is shown.
    """
    return {
        variables(field)[0]: one_line_for_client(
            value.name if isinstance(value, Path) else _text(value), _LIMIT
        )
        for field, value in settings
        if value is not None
    }


def activity(nix: NixCommand, packer: LayerPacker) -> Mapping[str, int]:
    """Return what was done since the start, by names such as ``nix.evaluate``."""
    counts = {f"nix.{kind}": count for kind, count in sorted(nix.starts.items())}
    counts["evaluators.answered"] = nix.evaluators.answered
    counts |= as_activity()
    return counts | {f"packing.{name}": n for name, n in asdict(packer.counters).items()}


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

"""The version of Nix, whether it has a store, and whether it sandboxes builds."""

import re
from collections.abc import Mapping, Sequence

from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES, SHOW_CONFIGURATION
from app.errors import StoreUnavailable, Unavailable

_VERSION = re.compile(r"(\d+)\.(\d+)")
_OLDEST = (2, 8)
# The old name and the new.
_OPEN_STORE = (("store", "ping"), ("store", "info"))
_SANDBOX = re.compile(rb"^sandbox = (\w+)", re.MULTILINE)


async def version(programs: Programs) -> str:
    """Return what Nix prints; raises Unavailable without Nix, or if it is too old."""
    finished = await programs.query("version", ["nix", "--version"])
    printed = finished.stdout.decode(errors="replace").strip()
    found = number_of(printed)
    if found is None or found < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        raise Unavailable(f"Nix {wanted} or later is needed, and this is {printed or 'none'}")
    return printed


def number_of(version: str) -> tuple[int, int] | None:
    """Return the first two numbers of what ``nix --version`` prints; None without any."""
    found = _VERSION.search(version)
    return None if found is None else (int(found[1]), int(found[2]))


async def check_store(programs: Programs, options: Sequence[str]) -> None:
    """Raise StoreUnavailable if Nix cannot open its store, such as that of a daemon."""
    reason = ""
    for command in _OPEN_STORE:
        finished = await programs.query("store", ["nix", *command, *FEATURES, *options])
        if finished.code == 0:
            return
        reason = reason or evaluation_error(finished.stderr) or exit_reason(finished)
    raise StoreUnavailable(f"Nix cannot open its store: {reason}")


async def sandboxed(programs: Programs, environment: Mapping[str, str]) -> bool:
    """Return whether every build runs in the sandbox; raises Unavailable.

    ``environment`` has the settings of those that build.  With the value ``relaxed`` not every build
    does: a derivation may opt out.
    """
    for command in SHOW_CONFIGURATION:
        finished = await programs.query(
            "version", ["nix", *command, *FEATURES], environment=environment
        )
        found = _SANDBOX.search(finished.stdout)
        if found:
            return found[1] == b"true"
    return False

"""The version of Nix, and whether it sandboxes builds."""

import re

from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES
from app.errors import Unavailable

_VERSION = re.compile(r"(\d+)\.(\d+)")
_OLDEST = (2, 8)
_SANDBOX = re.compile(rb"^sandbox = (\w+)", re.MULTILINE)


async def version(programs: Programs) -> str:
    """Return what Nix prints; raises Unavailable without Nix, or if it is too old."""
    finished = await programs.query("version", ["nix", "--version"])
    printed = finished.stdout.decode(errors="replace").strip()
    number = _VERSION.search(printed)
    if number is None or (int(number[1]), int(number[2])) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        raise Unavailable(f"Nix {wanted} or later is needed, and this is {printed or 'none'}")
    return printed


async def sandboxed(programs: Programs) -> bool:
    """Return whether every build runs in the sandbox; raises Unavailable.

    The value ``relaxed`` does not: a derivation may opt out.
    """
    for command in (["config", "show"], ["show-config"]):  # the new name and the old
        finished = await programs.query("version", ["nix", *command, *FEATURES])
        found = _SANDBOX.search(finished.stdout)
        if found:
            return found[1] == b"true"
    return False

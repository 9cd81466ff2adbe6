"""Which Nix there is, and how it builds."""

import re

from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES
from app.errors import Unavailable

_VERSION = re.compile(r"(\d+)\.(\d+)")
_OLDEST = (2, 8)
_SANDBOX = re.compile(rb"^sandbox = (\w+)", re.MULTILINE)


async def version(programs: Programs) -> str:
    """As Nix prints it; raises Unavailable if there is no Nix, or one too old."""
    finished = await programs.ask("version", ["nix", "--version"])
    printed = finished.stdout.decode(errors="replace").strip()
    number = _VERSION.search(printed)
    if number is None or (int(number[1]), int(number[2])) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        raise Unavailable(f"Nix {wanted} or later is needed, and this is {printed or 'none'}")
    return printed


async def sandboxed(programs: Programs) -> bool:
    """Whether no build sees more than what it declares; raises Unavailable.

    ``relaxed`` lets a derivation choose to be outside.
    """
    for command in (["config", "show"], ["show-config"]):  # by its new name and its old
        finished = await programs.ask("version", ["nix", *command, *FEATURES])
        found = _SANDBOX.search(finished.stdout)
        if found:
            return found[1] == b"true"
    return False

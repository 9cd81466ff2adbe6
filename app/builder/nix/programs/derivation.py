"""Reading a derivation file, as far as its outputs (Nix: src/libstore/derivations.cc)."""

import re
from pathlib import Path

from app.builder.nix.door import DerivationsGone
from app.system.blocking import blocking

_STRING = r'"([^"\\]*)"'
_OUTPUT = re.compile(rf"\({_STRING},{_STRING},{_STRING},{_STRING}\)")


def outputs(text: str) -> dict[str, str]:
    """Return the store path of each output; empty if ``text`` is not a derivation."""
    begin = "Derive(["
    if not text.startswith(begin):
        return {}
    found: dict[str, str] = {}
    position = len(begin)
    while output := _OUTPUT.match(text, position):
        found[output[1]] = output[2]
        position = output.end()
        if text[position : position + 1] != ",":
            break
        position += 1
    return found


@blocking
def read_outputs(derivation: str) -> dict[str, str]:
    """Raises DerivationsGone."""
    try:
        return outputs(Path(derivation).read_text(errors="replace"))
    except FileNotFoundError:
        raise DerivationsGone(derivation) from None

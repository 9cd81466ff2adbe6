"""The outputs of a derivation file (Nix: src/libstore/derivations.cc, unparse)."""

import re
from io import FileIO

from app.system.blocking import blocking

# Outputs come first, and none of their fields needs escapes.
_START = re.compile(r'Derive\(\[|DrvWithVersion\("[^"\\]*",\[')
_OUTPUT = re.compile(r'\("([^"\\]+)","([^"\\]*)","[^"\\]*","[^"\\]*"\)(,?)')
# What follows the outputs may be gigabytes.
_OUTPUTS_LIMIT = 1024 * 1024
# Bytes in which the outputs of almost all derivations end.
_MOST_OUTPUTS = 4096


def parse_outputs(text: str) -> dict[str, str]:
    """Return the store path of each output by its name; "" where only building determines it.

    Raises ValueError if the text is not the start of a derivation.
    """
    start = _START.match(text)
    if start is None:
        raise ValueError("not a derivation")
    position = start.end()
    outputs: dict[str, str] = {}
    more = True
    while more:
        output = _OUTPUT.match(text, position)
        if output is None:
            raise ValueError("not an output of a derivation")
        outputs[output[1]] = output[2]
        position, more = output.end(), output[3] == ","
    if text[position : position + 1] != "]":
        raise ValueError("the outputs of a derivation do not end")
    return outputs


@blocking
def read_outputs(derivation: str) -> dict[str, str]:
    """Parse the outputs of a file.  Raises OSError, ValueError."""
    with FileIO(derivation) as file:
        start = file.read(_MOST_OUTPUTS)
        try:
            return parse_outputs(start.decode(errors="replace"))
        except ValueError:
            rest = file.read(_OUTPUTS_LIMIT - len(start))
            return parse_outputs((start + rest).decode(errors="replace"))

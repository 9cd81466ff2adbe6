"""What is typed at the prompt of ``nix repl`` and read from behind it (nix/conversation.nix).

Between what is asked for come prompts, colours, and echoes of what was typed, cut to the width
of a terminal.  The marker, which nobody else knows, tells an answer from all of them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass(frozen=True, slots=True)
class Dialogue:
    """``marker`` is of letters and digits."""

    marker: str

    def opening(self, subject: dict[str, object]) -> bytes:
        said = _digits({"marker": self.marker, **subject})
        return b'nixery = import <nixery/conversation.nix> "%s"\n' % said

    @property
    def end(self) -> bytes:
        """What is printed after each question, answered or not."""
        return b'"%s"' % self.marker.encode()

    def answer(self, heard: bytes) -> bytes | None:
        """The JSON that was printed; None if there is no whole one."""
        opened, closed = b'"%s ' % self.marker.encode(), b' %s"' % self.marker.encode()
        begin = heard.find(opened)
        end = heard.find(closed, begin + len(opened))
        if begin < 0 or end < 0:
            return None
        return unquoted(heard[begin + len(opened) : end])


def question(names: Sequence[str], function: str = "answer") -> bytes:
    """``function`` is one of nix/conversation.nix."""
    return b'nixery.%s "%s"\nnixery.end\n' % (function.encode(), _digits(list(names)))


def unquoted(literal: bytes) -> bytes:
    """What Nix printed between the quotes of a string."""
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), literal)


def _digits(document: object) -> bytes:
    """Two for each character, all of which are printable ASCII."""
    return json.dumps(document).encode("ascii").hex().encode("ascii")

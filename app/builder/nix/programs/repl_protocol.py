"""The text protocol spoken with ``nix repl`` (nix/conversation.nix).

Between responses the program prints prompts, colours, and echoes of its input, cut to the width
of a terminal.  A secret marker distinguishes a response from all of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from app.system.blocking import blocking

# Nix writes these and two backslashes for one (src/libexpr/print.cc).
_ESCAPED = ((rb"\"", b'"'), (rb"\n", b"\n"), (rb"\r", b"\r"), (rb"\t", b"\t"), (rb"\$", b"$"))


@dataclass(frozen=True, slots=True)
class Protocol:
    """The requests and responses of one process.

    ``marker`` consists of letters and digits.
    """

    marker: str

    def start(self, subject: dict[str, object]) -> bytes:
        """Return the input that loads the expressions."""
        encoded = _hexadecimal({"marker": self.marker, **subject})
        return b'nixery = import <nixery/conversation.nix> "%s"\n' % encoded

    @property
    def end(self) -> bytes:
        """The output after each response, and after each error."""
        return b'"%s"' % self.marker.encode()

    @blocking
    def response(self, printed: bytes) -> bytes | None:
        """Return the JSON of a response; None if there is not a complete one."""
        opening, closing = b'"%s ' % self.marker.encode(), b' %s"' % self.marker.encode()
        start = printed.find(opening)
        end = printed.find(closing, start + len(opening))
        if start < 0 or end < 0:
            return None
        return unescape(printed[start + len(opening) : end])


def request(names: Sequence[str], function: str = "answer") -> bytes:
    """Return the input of a request; ``function`` is one of nix/conversation.nix."""
    return b'nixery.%s "%s"\nnixery.end\n' % (function.encode(), _hexadecimal(list(names)))


def unescape(literal: bytes) -> bytes:
    """Return the value of a string that Nix printed, without its quotes."""
    # A quoted JSON text has an escape for each of its quotes: a pattern would take 0.5 ms for them.
    # Strings of Nix end at a zero byte, so none has one.
    text = literal.replace(rb"\\", b"\0")
    for escaped, meant in _ESCAPED:
        text = text.replace(escaped, meant)
    return text.replace(b"\0", b"\\")


def _hexadecimal(document: object) -> bytes:
    """Encode JSON as two digits for each of its ASCII characters."""
    return json.dumps(document).encode("ascii").hex().encode("ascii")

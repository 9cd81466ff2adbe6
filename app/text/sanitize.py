"""Sanitize foreign text: one line, without terminal codes, credentials and paths of this host.

Texts are untrusted, so each pattern reads its text once: it takes runs whole, with possessive
quantifiers and atomic groups.
"""

import re
from collections import deque

from app.text.redact import without_credentials

# ECMA-48 control sequences and operating system commands, as compilers and Nix print them; also those
# that begin with a single character.
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-_]"
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# Unicode's Default_Ignorable_Code_Point, and annotations: characters that change the direction of the
# text around them, and invisible ones, such as tags, which can contain a text.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_QUOTES = frozenset("\"'`\\")
_SPACE = re.compile(r"\s+")

_PLACE = re.compile(
    # An address: its path is another host's, unless it has none.
    r"(?<![\w.+-])(?P<scheme>[\w.+-]++)://(?P<rest>(?>(?:[^\s'\"<>|,;:`]|:(?!/))*))"
    # A quoted path may have spaces; a command with arguments looks the same.
    r"|(?<=['\"])/(?>(?:[^'\":\s]|\s(?![/-]))*)(?=['\"])"
    # Words joined by slashes.
    r"|(?<![\w.+@~%/-])(?P<begin>[\w.+@~%-]*+)"
    r"(?P<path>/(?>(?:[\w.+@~%/-]|[^\w.+@~%/\s'\"`:;<>|-](?!/))*))"
)
_LOCAL = frozenset({"file", "path", "unix"})
# Text right before an absolute path: an option's letter, a home, punctuation.
_BEFORE_ABSOLUTE = re.compile(r"-[A-Za-z]|-i[a-z]+|~.*|(?!\.{1,2}$)[^\w]*")


def is_plain(text: str) -> bool:
    """Return whether a text is printable and has no quotes and backslashes."""
    return _printable(text) == text and _QUOTES.isdisjoint(text)


def printable(text: str) -> str:
    """Return the text without terminal codes and invisible characters; keep lines and indentation."""
    return "\n".join(map(_visible, text.split("\n")))


def one_line(text: str, limit: int) -> str:
    """Return one printable line of at most ``limit`` characters, without credentials."""
    # Cut before the patterns run: text beyond the limit is not shown, and then costs nothing.
    return _cut(without_credentials(_printable(_beginning(text, 16 * limit))), limit)


def one_line_for_client(text: str, limit: int) -> str:
    """Return a line for a client: paths of this host lose their directories as well."""
    text = without_credentials(_printable(_beginning(text, 16 * limit)))
    return _cut(_PLACE.sub(_without_directories, text), limit)


def excerpt_for_client(text: str, limit: int) -> str:
    """Return a message that loses its middle if it is too long.

    An error begins with what failed, and ends with the last line of its log.
    """
    text = one_line_for_client(text, 16 * limit)
    if len(text) <= limit:
        return text
    beginning = text[: limit // 2].rstrip()
    return f"{beginning}…{text[len(text) - limit + len(beginning) + 1 :].lstrip()}"


class LastLines:
    """The last ``count`` lines of a log, each of at most ``limit`` characters.

    Lines are sanitized when they are read, not when they arrive.  Most lines of a verbose program are
    dropped, and sanitizing them would block the event loop.
    """

    __slots__ = ("_cleaned", "_limit", "_raw", "count")

    def __init__(self, count: int, limit: int) -> None:
        self._limit = limit
        self.count = 0  # of all lines sanitized so far
        self._raw: deque[str] = deque(maxlen=count)
        self._cleaned: deque[str] = deque(maxlen=count)

    def add(self, text: str) -> None:
        self._raw.append(_beginning(text, 4 * self._limit))

    def clean(self, most: int) -> bool:
        """Sanitize at most ``most`` lines; return whether none are left."""
        for _ in range(min(most, len(self._raw))):
            self._cleaned.append(one_line(self._raw.popleft(), self._limit))
            self.count += 1
        return not self._raw

    def read(self) -> tuple[str, ...]:
        """Return the lines that are not empty, oldest first."""
        self.clean(len(self._raw))
        return tuple(text for text in self._cleaned if text)

    def after(self, position: int) -> tuple[str, ...]:
        """Return the sanitized lines that followed when ``count`` was ``position``."""
        new = min(max(self.count - position, 0), len(self._cleaned))
        return tuple(text for text in list(self._cleaned)[len(self._cleaned) - new :] if text)

    def clear(self) -> None:
        self._raw.clear()
        self._cleaned.clear()


def _beginning(text: str, size: int) -> str:
    """Cut the text between words, because patterns cannot find half of a secret."""
    if len(text) <= size:
        return text
    cut = text[:size]
    end = max(cut.rfind(" "), cut.rfind("\n"), cut.rfind("\t"))
    return (cut[:end] if end > 0 else cut) + "…"


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable() and "  " not in text:  # as most
        return text.strip()
    return _SPACE.sub(" ", _visible(text)).strip()


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(" ", _INVISIBLE.sub("", _TERMINAL.sub("", text)))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _without_directories(found: re.Match[str]) -> str:
    scheme, begin, path = found["scheme"], found["begin"], found["path"]
    if scheme is not None:
        rest = found["rest"]
        if scheme.lower().rpartition("+")[2] in _LOCAL or rest.startswith("/"):
            return f"{scheme}:{_last(rest)}"
        return found[0]
    if path is None:
        return _last(found[0])
    # In a text that was cut, the beginning of a path may be missing.
    cut = found.string[max(found.start() - 1, 0) : found.start()] == "…"
    if cut or _BEFORE_ABSOLUTE.fullmatch(begin):
        return ("" if cut else begin) + _last(path)
    return found[0]


def _last(path: str) -> str:
    """Return the last component; the whole of a store path and of a path without directories."""
    components = [component for component in path.split("/") if component]
    in_store = components[:2] == ["nix", "store"] and ".." not in components
    if in_store or len(components) < 2:
        return path
    return components[-1] + ("/" if path.endswith("/") else "")

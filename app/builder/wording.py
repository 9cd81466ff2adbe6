"""Foreign text made fit to be shown: one line, no terminal codes, no credentials, no host paths."""

import re

# ECMA-48 control sequences and operating system commands, as compilers and Nix print them.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_SPACE = re.compile(r"\s+")
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET = re.compile(
    r"(?i)((?:access_|auth_|private_)?(?:token|password|passwd|secret|signature|credential)"
    r"\s*[=:]\s*)[^\s&\"',;]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9+/._~-]{8,}=*")
# An absolute path of at least two components outside the store; its last component may stay.
_HOST_PATH = re.compile(r"(?<![\w.:/@-])/(?!nix/store/)(?:[\w.+@~-]+/)+(?=[\w.+@~-])")


def line(text: str, limit: int) -> str:
    """One printable line of at most ``limit`` characters, credentials struck out."""
    text = _UNPRINTABLE.sub(" ", _TERMINAL.sub("", text))
    text = _SPACE.sub(" ", _without_credentials(text)).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def sentence(text: str, limit: int) -> str:
    """A line for a client's terminal: paths of this host lose their directories as well."""
    # Cut before the patterns run: what is cut off cannot be shown, and costs nothing.
    return line(_HOST_PATH.sub("", text[: 16 * limit]), limit)


def ends(text: str, limit: int) -> str:
    """A sentence that loses its middle where it is too long: what failed stands first in an
    error, and the last words of its log stand last."""
    text = sentence(text, 16 * limit)
    if len(text) <= limit:
        return text
    beginning = text[: limit // 2].rstrip()
    return f"{beginning}…{text[len(text) - limit + len(beginning) + 1 :].lstrip()}"


def _without_credentials(text: str) -> str:
    text = _USERINFO.sub("***@", text)
    text = _SECRET.sub(r"\1***", text)
    return _BEARER.sub(r"\1 ***", text)

"""Scripts and sources of interpreted languages: the paths they name."""

import re
from collections.abc import Callable
from pathlib import Path

from nix.debian.builder.prefix import Prefix

INTERPRETER_LINE = re.compile(rb"#!\s*(\S+)(?:[ \t]+(.*?))?\s*$")
NAMED_PATH = re.compile(
    rb"(?<![\w./$@{}+-])/(?:usr/(?:bin|sbin|lib|share|libexec|games)|bin|sbin|lib)/[\w./+-]*\w"
)
LIBRARY_PATH = re.compile(rb"/(?:usr/)?lib[\w./+-]*\w")
SOURCE = re.compile(r"\.(py|pm|pl|rb|sh|tcl|lua|R)$")
# Directories many units fill: naming one does not mean one unit's.
SHARED_DIRECTORY = re.compile(
    r"(share|lib)/(perl5|python3(/dist-packages)?|locale|man|doc|applications|icons|fonts|ruby|mime"
    r"|pixmaps|aclocal|pkgconfig|cmake|bash-completion|python3\.\d+)|bin|lib|share|etc|include"
)
LINKER_SCRIPT_STARTS = (b"/*", b"OU", b"IN", b"GR")


def rewrite_scripts(prefix: Prefix) -> dict[str, str]:
    """Rewrites every script and source; returns the interpreter's name by place, for scripts."""
    interpreters = {}
    for place, executable in sorted(prefix.files.items()):
        path = prefix.absolute(place)
        with path.open("rb") as file:
            start = file.read(2)
        if start == b"#!" and executable:
            if interpreter := rewrite_script(prefix, path):
                interpreters[place] = interpreter
        elif SOURCE.search(place):
            rewrite(path, lambda text: store_paths(prefix, text))
        elif place.endswith(".so") and start in LINKER_SCRIPT_STARTS:
            rewrite_linker_script(prefix, path)
    return interpreters


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    text = path.read_bytes()
    if (new := change(text)) != text:
        path.write_bytes(new)


def rewrite_script(prefix: Prefix, path: Path) -> str | None:
    """Rewrites the interpreter line and what follows; None where there is no such interpreter."""
    line, newline, rest = path.read_bytes().partition(b"\n")
    asked = interpreter_of(line)
    if asked is None:
        return None
    name, arguments = asked
    program = prefix.program(name)
    if program is None:
        return None
    new_line = f"#!{program} {arguments}".rstrip().encode()
    body = rest if b"\0" in rest else store_paths(prefix, rest)  # an archive may follow
    path.write_bytes(new_line + newline + body)
    return name


def interpreter_of(line: bytes) -> tuple[str, str] | None:
    """The name and arguments of the interpreter a first line asks for, seen through `env`."""
    found = INTERPRETER_LINE.match(line)
    if not found or found[1].startswith(b"/nix/store/"):
        return None
    name = found[1].decode(errors="replace").rpartition("/")[2]
    arguments = (found[2] or b"").decode(errors="replace")
    if name != "env":
        return name, arguments
    words = arguments.split()
    if words[:1] == ["-S"]:
        words = words[1:]
    if not words or "=" in words[0] or words[0].startswith("-"):
        return None
    return words[0], " ".join(words[1:])


def store_paths(prefix: Prefix, text: bytes) -> bytes:
    """Puts store paths in place of the Debian paths a text names, where something stands for them."""

    def replacement(found: re.Match[bytes]) -> bytes:
        path = named(prefix, found[0].decode())
        return str(path).encode() if path else found[0]

    return NAMED_PATH.sub(replacement, text)


def named(prefix: Prefix, debian_path: str) -> Path | None:
    """A file, or a directory that is one unit's alone."""
    place = prefix.layout.place(debian_path)
    if place is None or "/" not in place:
        return None
    own = prefix.absolute(place)
    if own.is_dir():
        return None if SHARED_DIRECTORY.fullmatch(place) else own
    if own.is_file() or own.is_symlink():
        return own
    holders = [d.path / place for d in prefix.closure if (d.path / place).exists()]
    if holders and (
        holders[0].is_file() or (len(holders) == 1 and not SHARED_DIRECTORY.fullmatch(place))
    ):
        return holders[0]
    return None


def rewrite_linker_script(prefix: Prefix, path: Path) -> None:
    def replacement(found: re.Match[bytes]) -> bytes:
        located = prefix.locate(found[0].decode())
        return str(located).encode() if located else found[0]

    rewrite(path, lambda text: LIBRARY_PATH.sub(replacement, text))

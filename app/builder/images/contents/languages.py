"""Languages whose libraries an image composes with their interpreter.

A language is a row of ``LANGUAGES``; ``interpreters`` knows none by name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.builder.images.contents.additions import Additions
from app.builder.images.packing.entry import File, Symlink

# A place in a package: one pattern for each name on the way from the package's root.
Place = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """An interpreter is a package that has all of ``interpreter``; libraries are directories.

    ``compose`` takes the interpreters' own places that match ``interpreter``, and the directories
    of the other packages' libraries in the order of ``libraries``.
    """

    interpreter: tuple[Place, ...]
    libraries: tuple[Place, ...]
    compose: Callable[[Sequence[bytes], Sequence[bytes]], Additions]


# Python finds this file beside the program or one directory up, before it follows links.  So for
# a program in /usr/bin the prefix is /usr, and a version's own directory is below /usr/lib.
# Until 3.13, site.py also finds the file in the root, for a program in /bin.
_VENV = b"home = /usr/bin\ninclude-system-site-packages = true\n"
# /nix is the same place where the root is mounted at /nix of another container.
_VENV_IN_ROOT = b"home = /nix/bin\ninclude-system-site-packages = true\n"
_LAST_IN_ROOT = 13
# Environments that are made with this interpreter refer to it by the place that venv takes from
# here; the program's own place in the store would not find the image's libraries.
_BASE = (
    b"import sys; sys.prefix == sys.base_prefix"
    b" and setattr(sys, '_base_executable', sys.executable)\n"
)
# Debian's: modules for all versions, and what venv installs.
_SHARED = (b"lib/python3", b"share/python-wheels")
# Debian's interpreter looks into the second.
_SITES = (b"site-packages", b"dist-packages")


def _python(own: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    programs = [place for place in own if place.startswith(b"bin/")]
    directories = {b"/".join(place.split(b"/")[:2]) for place in own if place not in programs}
    directories |= {place for place in libraries if place in _SHARED}
    versions = sorted(place for place in directories if place not in _SHARED)
    files = [File(b"usr/pyvenv.cfg", _VENV)]
    if all(int(version.split(b".")[1]) <= _LAST_IN_ROOT for version in versions):
        files.append(File(b"pyvenv.cfg", _VENV_IN_ROOT))
    for version in versions:
        files += (File(b"%b/%b/_image.pth" % (version, site), _BASE) for site in _SITES)
    # The image's /share is a link to /usr/share.
    places = sorted([*programs, *(name for name in directories if not name.startswith(b"share/"))])
    links = [Symlink(b"usr/" + name, b"../../" + name) for name in places]
    links += [
        Symlink(b"nix/" + name, b"../../" + name) for name in places if name.startswith(b"lib/")
    ]
    return Additions((*files, *links))


def _search_path(variable: str) -> Callable[[Sequence[bytes], Sequence[bytes]], Additions]:
    """Return a composition that lists the directories in a variable."""

    def compose(_: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
        if not libraries:
            return Additions()
        return Additions((), {variable: ":".join("/" + name.decode() for name in libraries)})

    return compose


LANGUAGES = (
    Language(
        interpreter=(
            (b"bin", rb"python(3(\.\d+)?)?"),
            (b"lib", rb"python3\.\d+", rb"os\.py"),
        ),
        libraries=(
            (b"lib", rb"python3\.\d+"),
            (b"lib", b"python3"),
            (b"share", b"python-wheels"),
        ),
        compose=_python,
    ),
    Language(
        interpreter=((b"bin", b"perl"),),
        # The last three are Debian's.
        libraries=(
            (b"lib", b"perl5", b"site_perl"),
            (b"lib", b"perl5", rb"5\.\d+"),
            (b"share", b"perl5"),
        ),
        compose=_search_path("PERL5LIB"),
    ),
)

# Every pattern is matched against whole names, and many packages are looked at.
COMPILED = {
    pattern: re.compile(pattern)
    for language in LANGUAGES
    for place in (*language.interpreter, *language.libraries)
    for pattern in place
}

"""Languages whose libraries an image composes with their interpreter.

A language is a row of ``LANGUAGES``; the code in ``interpreters`` is the same for all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.builder.images.contents.additions import Additions
from app.builder.images.packing.entry import File, Symlink

# A place in a package: one pattern for each name on the way from the package's root.
Place = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """A language: how its interpreter and its libraries are found, and what they need.

    An interpreter is a package that has all places of ``interpreter``.  Libraries are directories.
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


def _perl(_: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    return _variables({"PERL5LIB": _absolute(libraries)})


def _lua(_: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    """Return the search paths of each version; ``;;`` stands for the interpreter's own."""
    variables = {}
    for library in libraries:
        version = library.rpartition(b"/")[2].decode()
        suffix = "" if version == "5.1" else "_" + version.replace(".", "_")
        if library.startswith(b"share/"):
            variables["LUA_PATH" + suffix] = (
                f"/{library.decode()}/?.lua;/{library.decode()}/?/init.lua;;"
            )
        else:
            variables["LUA_CPATH" + suffix] = f"/{library.decode()}/?.so;;"
    return _variables(variables)


def _ruby(own: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    """Return the directories of gems, and those of modules that are not gems."""
    gems = [name for name in libraries if name.startswith(b"lib/ruby/gems/")]
    indexes = [name for name in libraries if name.startswith(b"share/")]
    modules = [name for name in libraries if name not in gems and name not in indexes]
    # The embedded set's interpreter has its own directories in this variable, unless it is set.
    standard = [name for name in own if name.startswith(b"lib/")]
    places = [*modules, *(name for name in standard if name not in modules)] if modules else []
    # The colon at the end stands for the interpreter's own.
    found = _absolute([*gems, *indexes])
    return _variables({"RUBYLIB": _absolute(places), "GEM_PATH": found and found + ":"})


def _node(_: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    """Return the directory that Node.js looks into last, for every file below the root.

    Other than its variable, it is for ``import`` as well.
    """
    return Additions((Symlink(b"node_modules", b"lib/node_modules"),) if libraries else ())


def _r(_: Sequence[bytes], libraries: Sequence[bytes]) -> Additions:
    """Return the search path of libraries.

    The first place is where ``install.packages`` is to put others, as with Debian.
    """
    places = ["/usr/local/lib/R/site-library", _absolute(libraries)]
    return _variables({"R_LIBS_SITE": ":".join(places)} if libraries else {})


def _absolute(names: Sequence[bytes]) -> str:
    return ":".join("/" + name.decode() for name in names)


def _variables(values: Mapping[str, str]) -> Additions:
    return Additions((), {name: value for name, value in values.items() if value})


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
        compose=_perl,
    ),
    Language(
        interpreter=((b"bin", rb"lua(jit)?(5\.\d)?"),),
        libraries=((b"share", b"lua", rb"5\.\d"), (b"lib", b"lua", rb"5\.\d")),
        compose=_lua,
    ),
    Language(
        interpreter=((b"bin", b"ruby"), (b"lib", b"ruby", rb"vendor_ruby|\d+\.\d+\.\d+")),
        # The last two are Debian's.
        libraries=(
            (b"lib", b"ruby", b"gems", rb"\d+\.\d+\.\d+"),
            (b"lib", b"ruby", b"vendor_ruby"),
            (b"share", b"rubygems-integration", b"all"),
        ),
        compose=_ruby,
    ),
    Language(
        interpreter=((b"bin", b"node"),),
        libraries=((b"lib", b"node_modules"),),
        compose=_node,
    ),
    Language(
        interpreter=((b"bin", b"R"),),
        # The second is Debian's.
        libraries=((b"library",), (b"lib", b"R", b"site-library")),
        compose=_r,
    ),
)

# Every pattern is matched against whole names, of many packages.
COMPILED = {
    pattern: re.compile(pattern)
    for language in LANGUAGES
    for place in (*language.interpreter, *language.libraries)
    for pattern in place
}
# Most patterns are a name: it is looked up.
NAMES = frozenset(pattern for pattern in COMPILED if not set(pattern) & set(rb"\.?*+|()[]{}^$"))

"""Library paths: which directory of the store holds each library a file needs."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nix.debian.builder.elf import Elf, NotElf, read_elf
from nix.debian.builder.elfpatch import change
from nix.debian.builder.prefix import Prefix

LIBRARY = re.compile(r"(lib[^/]*|ld-linux[^/]*)\.so(\.[0-9a-zA-Z.]+)?")


def own_sonames(out: Path) -> dict[str, str]:
    """Library file name to its directory inside the unit; where one occurs twice, the outermost."""
    found: dict[str, str] = {}
    for base, directories, names in os.walk(out / "lib"):
        directories.sort()
        place = os.path.relpath(base, out)
        for name in sorted(names):
            if LIBRARY.fullmatch(name):
                known = found.get(name)
                if known is None or place.count("/") < known.count("/"):
                    found[name] = place
    return found


def patch_libraries(prefix: Prefix, sonames: Mapping[str, str]) -> frozenset[str]:
    """Gives every ELF file of the unit its loader and library path.

    Returns the libraries nothing in the closure provides.
    """
    unresolved: set[str] = set()
    seen: set[int] = set()
    for place in sorted(prefix.files):
        path = prefix.absolute(place)
        inode = path.stat().st_ino
        if inode in seen:  # a file by several names has room for one change
            continue
        seen.add(inode)
        try:
            elf = read_elf(path, prefix.task.machine)
        except NotElf:
            continue
        directories, missing = library_path(prefix, sonames, elf, path)
        unresolved |= missing
        interpreter = store_loader(prefix) if elf.interpreter else None
        if directories or interpreter:
            change(path, elf, interpreter=interpreter, runpath=directories)
    return frozenset(unresolved)


def store_loader(prefix: Prefix) -> str | None:
    directory = prefix.library_directory(prefix.task.loader)
    return str(directory / prefix.task.loader) if directory else None


def library_path(
    prefix: Prefix, sonames: Mapping[str, str], elf: Elf, path: Path
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The directories in the order they are searched, and the libraries none of them holds."""
    directories = dict.fromkeys(kept_directories(prefix, elf))
    missing = set()
    for soname in elf.needed:
        if soname in sonames:
            directories[str(prefix.task.out / sonames[soname])] = None
        elif found := prefix.library_directory(soname):
            directories[str(found)] = None
        elif not any(
            Path(directory.replace("$ORIGIN", str(path.parent)), soname).exists()
            for directory in directories
        ):
            missing.add(soname)
    for soname in prefix.task.recipe.dlopen:
        if found := prefix.library_directory(soname):
            directories[str(found)] = None
    return tuple(directories), frozenset(missing)


def kept_directories(prefix: Prefix, elf: Elf) -> Iterator[str]:
    """What the packager put into the library path, as it reads here."""
    for directory in elf.runpath:
        if directory.startswith("$ORIGIN"):
            yield directory
        elif directory.startswith("/") and (found := prefix.locate(directory)):
            yield str(found)

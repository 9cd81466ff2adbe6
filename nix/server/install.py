"""Install wheels into a directory of modules that runs from the Nix store.

Libraries of the wheels get the store's directories for what they need from outside. Modules are
compiled, because a store must not change when they are imported.
"""

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode
from py_compile import compile as compile_module

from nix.debian.builder.elf import NotElf, read_elf
from nix.debian.builder.elfpatch import change

SOURCES = "app/nix"


class LibraryMissing(Exception):
    """A wheel needs a library that neither it nor the package set has."""


def install(wheels: Iterable[Path], out: Path, directories: tuple[Path, ...], machine: int) -> None:
    """Unpack the wheels into ``out``. Raises LibraryMissing, and NoSpareHeader of `change`."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(out)
            for item in archive.infolist():
                if item.external_attr >> 16 & 0o100:  # the revision of a package set counts it
                    (out / item.filename).chmod(0o755)
    bundled = {path.name for path in out.rglob("*.so*")}
    for path in sorted(out.rglob("*.so*")):
        add_library_path(path, bundled, directories, machine)
    for path in sorted(out.rglob("*.py")):
        if path.is_relative_to(out / SOURCES):  # their listing identifies a package set
            continue
        # Without the place in the store: imports put it in, and a path that names itself gives
        # every text that Nix reads from it a context.
        compile_module(
            str(path),
            dfile=str(path.relative_to(out)),
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            doraise=True,
        )


def add_library_path(
    path: Path, bundled: set[str], directories: tuple[Path, ...], machine: int
) -> None:
    try:
        elf = read_elf(path, machine)
    except NotElf:
        return
    found = dict.fromkeys(elf.runpath)
    for name in elf.needed:
        place = next((d for d in directories if (d / name).exists()), None)
        if place:
            found[str(place)] = None
        elif name not in bundled:
            raise LibraryMissing(f"{path.name} needs {name}")
    path.chmod(0o755)
    change(path, elf, interpreter=None, runpath=tuple(found))


def main() -> None:
    variables = os.environ
    install(
        wheels=map(Path, variables["files"].split()),
        out=Path(variables["out"]),
        directories=tuple(Path(path, "lib") for path in variables["libraries"].split()),
        machine=int(variables["machine"]),
    )


if __name__ == "__main__":
    main()

"""Programs of other Debian releases, beside this machine's."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nix.debian.generator.apt import private_apt
from nix.debian.generator.archive import Archive
from nix.debian.generator.cache import cache_directory, exclusive
from nix.debian.generator.downloads import Downloads
from nix.debian.generator.nixstore import NixStore, nix_environment
from nix.debian.generator.relations import clauses
from nix.debian.generator.release import Release
from nix.debian.generator.workplace import Workplace, read_host
from tests.e2e.process import succeed

# The fields of all packages, by their names.
Index = Mapping[str, Mapping[str, str]]


def loaded(index: Index, package: str, left_out: tuple[str, ...]) -> list[str]:
    """Return a package and those that it depends on, without the names that begin so."""
    found: set[str] = set()
    wanted = [package]
    while wanted:
        name = wanted.pop()
        if name in found or name not in index or name.startswith(left_out):
            continue
        found.add(name)
        for field in ("Pre-Depends", "Depends"):
            wanted += [first for first, *_ in clauses(index[name].get(field, ""))]
    return sorted(found)


def with_own_libraries(tree: Path) -> tuple[str, ...]:
    """Return the command that starts a program of the tree with the C library it came with."""
    loader = next(tree.glob("**/ld-linux-*.so.*"))
    libraries = ":".join(
        str(path) for path in (*tree.glob("usr/lib/*-linux-gnu"), *tree.glob("lib/*-linux-gnu"))
    )
    return (str(loader), "--library-path", libraries)


def unpack(codename: str, choose: Callable[[Index], Iterable[str]], tree: Path) -> Path:
    """Downloaded once, by the machine's own apt; nothing is installed.  Returns ``tree``."""
    host = read_host()
    place = Workplace(host, cache_directory(), NixStore(nix_environment()))
    release = Release("debian", codename)
    with exclusive(place.cache), private_apt(place, release, host.architecture.debian) as apt:
        apt.update()
        archive = Archive(apt, apt.packages(), Downloads(place.downloads), place.cache / "scans")
        debs = [archive.deb(package) for package in dict.fromkeys(choose(archive.index))]
        archive.downloads.fetch(apt, debs)
    tree.mkdir()
    for deb in debs:
        succeed("dpkg-deb", "-x", str(archive.downloads.path(deb)), str(tree))
    return tree

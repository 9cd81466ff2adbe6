"""A package set as values: what refers to what, how large it is, and what a release changes."""

import hashlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.builder.closure import Closure, StoreObject, StorePath

_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"


@dataclass(frozen=True, slots=True)
class Package:
    """``size`` in bytes of NAR; ``references`` are names of packages."""

    size: int
    references: tuple[str, ...]
    release: int = 0


@dataclass(frozen=True, slots=True)
class PackageSet:
    """``attributes`` are the packages that images are made of."""

    packages: Mapping[str, Package]
    attributes: tuple[str, ...]

    def needs(self, names: Iterable[str]) -> frozenset[str]:
        found: set[str] = set()
        open_ends = list(names)
        while open_ends:
            name = open_ends.pop()
            if name not in found:
                found.add(name)
                open_ends.extend(self.packages[name].references)
        return frozenset(found)

    def users(self) -> Mapping[str, int]:
        """How many packages need each, itself included."""
        counts = dict.fromkeys(self.packages, 0)
        for name in self.packages:
            for needed in self.needs([name]):
                counts[needed] += 1
        return counts

    def after(self, part: float, seed: int) -> "PackageSet":
        """The next release: ``part`` of the packages changed, their dependants rebuilt.

        What a tenth of all packages need does not change between two releases of this kind:
        that is the mass rebuild, after which nothing is left to share.
        """
        users = self.users()
        may = sorted(name for name, count in users.items() if count * 10 <= len(users))
        changed = set(random.Random(seed).sample(may, round(part * len(users))))
        rebuilt = {name for name in self.packages if changed & self.needs([name])}
        packages = {
            name: Package(p.size, p.references, p.release + (name in rebuilt))
            for name, p in self.packages.items()
        }
        return PackageSet(packages, self.attributes)


class Store:
    """Closures of a package set, with a hash for every package and release of it."""

    def __init__(self, packages: PackageSet) -> None:
        self._objects = {
            name: StoreObject(
                self._path(name, p),
                p.size,
                tuple(sorted(self._path(r, packages.packages[r]) for r in p.references)),
            )
            for name, p in packages.packages.items()
        }
        self._packages = packages

    def closure(self, names: Iterable[str]) -> Closure:
        return Closure(self._objects[name] for name in self._packages.needs(names))

    def everything(self) -> Closure:
        return Closure(self._objects.values())

    def path(self, name: str) -> StorePath:
        return self._objects[name].path

    @staticmethod
    def _path(name: str, package: Package) -> StorePath:
        digest = hashlib.sha256(f"{name} {package.release}".encode()).digest()
        return StorePath.parse("".join(_NIX32[b % 32] for b in digest) + f"-{name}-1")

"""A package set as values: references, sizes, and the changes of a release."""

import hashlib
import json
import random
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.programs import path_info as pathinfo
from bench.common import ROOT, Missing

_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"
# Attributes by dotted path, and the store path of each.
_EXPRESSION = """
{ lock, system }:
let
  set = import %s/nix/debian { inherit system lock; };
  path = name: set.lib.getAttrFromPath (set.lib.splitString "." name) set;
in
map (name: { inherit name; path = (path name).outPath; })
  (builtins.attrNames (builtins.fromJSON (builtins.readFile lock)).attributes)
"""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """Closures by attribute, and the release of each changed package."""

    attributes: Mapping[str, StorePath]
    objects: Mapping[StorePath, StoreObject]
    releases: Mapping[StorePath, int]

    def needs(self, paths: Iterable[StorePath]) -> frozenset[StorePath]:
        found: set[StorePath] = set()
        open_ends = list(paths)
        while open_ends:
            path = open_ends.pop()
            if path not in found:
                found.add(path)
                open_ends.extend(self.objects[path].references)
        return frozenset(found)

    def closure(self, paths: Iterable[StorePath]) -> Closure:
        """Return the closure in this release; changed packages and dependents have other hashes."""
        return Closure(
            StoreObject(
                self.path(path),
                self.objects[path].nar_size,
                tuple(sorted(self.path(other) for other in self.objects[path].references)),
            )
            for path in self.needs(paths)
        )

    def path(self, path: StorePath) -> StorePath:
        release = self.releases.get(path, 0)
        if not release:
            return path
        digest = hashlib.sha256(f"{path} {release}".encode()).digest()
        return StorePath.parse("".join(_NIX32[b % 32] for b in digest) + f"-{path.name}")

    def after(self, part: float, seed: int) -> "PackageSet":
        """Return the next release: ``part`` of the packages changed, their dependents rebuilt.

        What a tenth of all packages need does not change between two releases of this kind:
        that is the mass rebuild, after which nothing is left to share.
        """
        needs = {path: self.needs([path]) for path in self.objects}
        users = dict.fromkeys(self.objects, 0)
        for needed in needs.values():
            for path in needed:
                users[path] += 1
        may = sorted(path for path, count in users.items() if count * 10 <= len(users))
        changed = set(random.Random(seed).sample(may, round(part * len(users))))
        releases = {
            path: self.releases.get(path, 0) + bool(changed & needed)
            for path, needed in needs.items()
        }
        return PackageSet(self.attributes, self.objects, releases)


def built_packages(lock: Path) -> PackageSet:
    """Return the attributes of a lock of the embedded set that are built here.  Raises Missing."""
    system = lock.stem
    expression = _EXPRESSION % ROOT
    arguments = ["--argstr", "lock", str(lock.absolute()), "--argstr", "system", system]
    asked = _nix(
        ["nix-instantiate", "--eval", "--strict", "--json", "--expr", expression, *arguments]
    )
    attributes = {row["name"]: StorePath.parse(row["path"]) for row in json.loads(asked)}
    built = {name: path for name, path in attributes.items() if Path(str(path)).exists()}
    if len(built) * 2 < len(attributes):
        raise Missing(
            f"{len(built)} of {len(attributes)} packages of {lock} are built; build them with"
            f" nix-build nix/debian/all.nix -A units --argstr system {system}"
            f" --argstr lock {lock.absolute()} --no-out-link"
        )
    paths = [str(path) for path in sorted(set(built.values()))]
    features = ["--extra-experimental-features", "nix-command"]
    information = _nix(["nix", "path-info", "--json", "--recursive", *paths, *features])
    return PackageSet(built, pathinfo.parse(information).objects, {})


def _nix(command: list[str]) -> bytes:
    try:
        finished = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise Missing("Nix is not installed") from None
    if finished.returncode:
        raise Missing(finished.stderr.decode().strip().splitlines()[-1])
    return finished.stdout

"""Put the packages of a lock into the Nix store, at the paths of its derivations."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from nix.debian.generator.apt import private_apt
from nix.debian.generator.downloads import Downloads
from nix.debian.generator.lock import Deb, Lock
from nix.debian.generator.nixstore import NixStore
from nix.debian.generator.progress import report
from nix.debian.generator.release import ARCHITECTURES
from nix.debian.generator.runtime import unpack_runtime
from nix.debian.generator.workplace import Workplace


class SeedDiffers(Exception):
    """The store path of an added package differs from the lock's."""


class VersionsGone(Exception):
    """The archive no longer has versions of the lock."""

    def __init__(self, gone: Iterable[Deb]) -> None:
        self.gone = tuple(gone)
        named = ", ".join(f"{deb.package} {deb.version}" for deb in self.gone[:5])
        more = f" and {len(self.gone) - 5} more" if len(self.gone) > 5 else ""
        super().__init__(f"the archive no longer has {named}{more}")


def versions_gone(place: Workplace, lock: Lock, debs: Iterable[Deb]) -> tuple[Deb, ...]:
    """Return the packages that are missing in a new index. Blocking."""
    gone: list[Deb] = []
    for architecture, part in by_architecture(lock, debs).items():
        with private_apt(place, lock.release, architecture) as apt:
            apt.update()
            versions = apt.versions(deb.package for deb in part)
            gone += [deb for deb in part if (deb.package, deb.version) not in versions]
    return tuple(gone)


def by_architecture(lock: Lock, debs: Iterable[Deb]) -> dict[str, list[Deb]]:
    """Group packages by architecture; those for all architectures belong to the lock's own."""
    parts: dict[str, list[Deb]] = {}
    for deb in debs:
        own = lock.architecture if deb.architecture == "all" else deb.architecture
        parts.setdefault(own, []).append(deb)
    return parts


def seed(place: Workplace, lock: Lock) -> int:
    """Add the missing packages to the store and return their number. Blocking.

    Raises VersionsGone, AptFailed, ContentDiffers, SeedDiffers.
    """
    downloads, store = Downloads(place.downloads), place.store
    needed = lock.needed_debs()
    runtime = lock.build.runtime
    absent = store.invalid([*needed, runtime.store_path])
    new = [needed[path] for path in sorted(absent - {runtime.store_path})]
    runtime_debs = [lock.debs[key] for key in runtime.debs] if runtime.store_path in absent else []
    missing = downloads.missing({deb.store_path: deb for deb in (*new, *runtime_debs)}.values())
    if missing:
        if gone := versions_gone(place, lock, missing):
            raise VersionsGone(gone)
        for architecture, part in by_architecture(lock, missing).items():
            with private_apt(place, lock.release, architecture) as apt:
                downloads.fetch(apt, part)
    if new:
        report(f"putting {len(new)} packages into the Nix store")
        add_packages(new, downloads, store)
    if runtime_debs:
        add_runtime(lock, downloads, store)
    return len(new)


def add_packages(debs: Iterable[Deb], downloads: Downloads, store: NixStore) -> None:
    """Add packages under their names in the lock, through links: Nix names paths after files."""
    wanted = tuple(debs)
    with tempfile.TemporaryDirectory(dir=downloads.directory) as directory:
        links = []
        for deb in wanted:
            link = Path(directory) / deb.file
            link.hardlink_to(downloads.path(deb))
            links.append(link)
        added = store.add_files(links)
    for deb, path in zip(wanted, added, strict=True):
        if path != deb.store_path:
            downloads.path(deb).unlink()
            raise SeedDiffers(f"{deb.file}: {path} is not {deb.store_path}; run this again")


def add_runtime(lock: Lock, downloads: Downloads, store: NixStore) -> None:
    runtime = lock.build.runtime
    directory = Path(tempfile.mkdtemp(prefix="package-set-"))
    try:
        packages = [downloads.path(lock.debs[key]) for key in runtime.debs]
        tree = unpack_runtime(packages, ARCHITECTURES[lock.build.system], directory)
        path = store.add_tree(tree)
    finally:
        shutil.rmtree(directory)
    if path != runtime.store_path:
        raise SeedDiffers(
            f"{path} is not {runtime.store_path}: the lock was made by another version"
        )

"""Prepare a package set for the server."""

from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.apt import AptFailed
from nix.debian.generator.lock import LockUnreadable, read_lock, write_lock
from nix.debian.generator.locking import Locking
from nix.debian.generator.progress import report
from nix.debian.generator.release import ARCHITECTURES
from nix.debian.generator.seed import VersionsGone, seed
from nix.debian.generator.setdir import SetDirectory, refresh
from nix.debian.generator.wanted import wanted_digest
from nix.debian.generator.workplace import Workplace

# Attributes that are built in advance: all of the small set, but only the sources of the full one,
# whose units take minutes.
PREPARED = {"small": ("sources", "units"), "full": ("sources",)}


class LockUnusable(Exception):
    """A lock was made for another machine or another list of packages."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares one set. All methods block.

    `attributes` is the name of a list in wanted/: `small` or `full`. `tree` is the set with
    committed locks; other locks are made below the cache.
    """

    attributes: str
    systems: tuple[str, ...]
    place: Workplace
    tree: SetDirectory

    def prepare(self) -> Path:
        """Do the missing steps and return the directory to import."""
        cached = SetDirectory(self.place.cache / "sets" / self.attributes)
        candidates = [cached] if self.attributes == "full" else [self.tree, cached]
        existing = [d for d in candidates if d.is_complete(self.systems)]
        usable = []
        for directory in existing:
            refresh(directory)
            try:
                self._check_usable(directory)
            except (LockUnreadable, LockUnusable) as reason:
                report(f"{directory.path}: {reason}")
                continue
            if self._is_ready(directory):
                return directory.path
            usable.append(directory)
        for directory in usable:
            try:
                return self._make_ready(directory)
            except VersionsGone as reason:
                report(f"{directory.path}: {reason}")
        report(f"resolving again for {self.place.host.release}, into {cached.path}")
        refresh(cached)
        self._resolve(cached)
        return self._make_ready(cached)

    def _locked(self, directory: SetDirectory) -> tuple[str, ...]:
        return tuple(system for system in self.systems if directory.lock(system).is_file())

    def _is_ready(self, directory: SetDirectory) -> bool:
        outputs = {
            self.place.store.output(
                directory.everything, attribute, {"system": system}
            ): self._root(attribute, system)
            for system in self._locked(directory)
            for attribute in PREPARED[self.attributes]
        }
        rooted = all(
            root.is_symlink() and str(root.readlink()) == path for path, root in outputs.items()
        )
        return rooted and not self.place.store.invalid(outputs)

    def _make_ready(self, directory: SetDirectory) -> Path:
        """Seed and build. Raises VersionsGone, and the errors of seeding and building."""
        for system in self._locked(directory):
            lock = read_lock(directory.lock(system))
            report(f"{system}: {len(lock.attributes)} attributes, {len(lock.debs)} packages")
            seed(self.place, lock)
            for attribute in PREPARED[self.attributes]:
                self.place.store.build(
                    directory.everything,
                    attribute,
                    {"system": system},
                    self._root(attribute, system),
                )
        return directory.path

    def _check_usable(self, directory: SetDirectory) -> None:
        """Check that the locks fit this machine. Raises LockUnreadable, LockUnusable."""
        host = self.place.host
        for system in self._locked(directory):
            lock = read_lock(directory.lock(system))
            if lock.release != host.release:
                raise LockUnusable(f"made for {lock.release}; this machine has {host.release}")
            if lock.build.system != host.architecture.system:
                raise LockUnusable(f"made for building on {lock.build.system}")
            if lock.wanted != wanted_digest(self.attributes):
                raise LockUnusable("the wanted packages have changed since the lock was made")

    def _resolve(self, directory: SetDirectory) -> None:
        """Make a lock for each system; the archive may lack systems other than this machine's."""
        builder = self.place.host.architecture
        locking = Locking(self.place, self.place.host.release)
        for system in self.systems:
            try:
                lock = locking.lock(ARCHITECTURES[system], self.attributes)
            except AptFailed as reason:
                if system == builder.system:
                    raise
                report(
                    f"leaving out {system}, which this machine's archive does not have: {reason}"
                )
                directory.lock(system).unlink(missing_ok=True)
                directory.absent(system).touch()
            else:
                write_lock(lock, directory.lock(system))

    def _root(self, attribute: str, system: str) -> Path:
        return self.place.cache / "roots" / f"{self.attributes}-{attribute}-{system}"

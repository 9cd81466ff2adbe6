"""Everything the server needs of a package set, in one go."""

from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.apt import AptFailed
from nix.debian.generator.lock import Lock, read_lock, write_lock
from nix.debian.generator.locking import Locking
from nix.debian.generator.nixstore import NixStore
from nix.debian.generator.progress import say
from nix.debian.generator.release import ARCHITECTURES, host_architecture, host_release
from nix.debian.generator.seed import VersionsGone, seed
from nix.debian.generator.setdir import TREE, SetDirectory, refresh
from nix.debian.generator.wanted import wanted_digest

# What is built ahead: all of the small set; of the full one it would take minutes, so there
# only what things are made from is put into the store.
PREPARED = {"small": ("sources", "units"), "full": ("sources",)}


class LockUnusable(Exception):
    """A lock was made for another machine than this, or for another list of packages."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Blocking throughout. `attributes` names a list of wanted/: `small` or `full`."""

    attributes: str
    systems: tuple[str, ...]
    cache: Path
    store: NixStore

    def prepare(self) -> Path:
        """Returns the directory to be imported; what is there already is not done again."""
        cached = SetDirectory(self.cache / "sets" / self.attributes)
        candidates = [cached] if self.attributes == "full" else [SetDirectory(TREE), cached]
        existing = [d for d in candidates if d.has_locks(self.systems)]
        for directory in existing:
            refresh(directory)
            if self._is_ready(directory):
                return directory.path
        for directory in existing:
            try:
                return self._make_ready(directory)
            except (LockUnusable, VersionsGone) as reason:
                say(f"{directory.path}: {reason}; resolving anew for {host_release()}")
        refresh(cached)
        return self._make_ready(cached, self._resolve(cached))

    def _is_ready(self, directory: SetDirectory) -> bool:
        outputs = {
            self.store.output(directory.everything, attribute, {"system": system}): self._root(
                attribute, system
            )
            for system in self.systems
            for attribute in PREPARED[self.attributes]
        }
        rooted = all(
            root.is_symlink() and str(root.readlink()) == path for path, root in outputs.items()
        )
        return rooted and not self.store.invalid(outputs)

    def _make_ready(self, directory: SetDirectory, systems: tuple[str, ...] = ()) -> Path:
        """Raises LockUnusable, VersionsGone, and what seeding and building raise."""
        for system in systems or self.systems:
            lock = read_lock(directory.lock(system))
            self._check_usable(lock)
            say(f"{system}: {len(lock.attributes)} attributes, {len(lock.debs)} packages")
            seed(lock, self.store, self.cache)
            for attribute in PREPARED[self.attributes]:
                self.store.build(
                    directory.everything,
                    attribute,
                    {"system": system},
                    self._root(attribute, system),
                )
        return directory.path

    def _check_usable(self, lock: Lock) -> None:
        if lock.release != host_release():
            raise LockUnusable(f"the lock is for {lock.release}")
        if lock.build.system != host_architecture().system:
            raise LockUnusable(f"the lock is for building on {lock.build.system}")
        if lock.wanted != wanted_digest(self.attributes):
            raise LockUnusable("what is wanted has changed since the lock was made")

    def _resolve(self, directory: SetDirectory) -> tuple[str, ...]:
        """Makes a lock for each system, and returns those it could be made for."""
        made = []
        builder = host_architecture()
        locking = Locking(host_release(), builder, self.cache, self.store)
        for system in self.systems:
            try:
                lock = locking.lock(ARCHITECTURES[system], self.attributes)
            except AptFailed as reason:
                if system == builder.system:
                    raise
                say(f"leaving out {system}, which this machine's archive does not have: {reason}")
                continue
            write_lock(lock, directory.lock(system))
            made.append(system)
        return tuple(made)

    def _root(self, attribute: str, system: str) -> Path:
        return self.cache / "roots" / f"{self.attributes}-{attribute}-{system}"

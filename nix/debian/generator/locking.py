"""Make a lock for the current state of one release."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.apt import private_apt
from nix.debian.generator.archive import Archive
from nix.debian.generator.cycles import without_cycles
from nix.debian.generator.downloads import Downloads
from nix.debian.generator.lock import BuildMachine, Deb, Lock, Runtime
from nix.debian.generator.progress import report
from nix.debian.generator.release import Architecture, Release
from nix.debian.generator.resolution import resolve
from nix.debian.generator.runtime import NAME, unpack_runtime
from nix.debian.generator.wanted import read_wanted
from nix.debian.generator.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Locking:
    """Makes locks of one release. Blocking; takes minutes if hundreds of packages are missing.

    Raises AptFailed, ContentDiffers, NixFailed, NoSource, RuntimeIncomplete, Unresolvable.
    """

    place: Workplace
    release: Release

    def lock(self, target: Architecture, attributes: str) -> Lock:
        """Resolve a list of wanted packages; `attributes` is its name in wanted/."""
        builder = self.place.host.architecture
        report(f"resolving the {attributes} set for {self.release}, {target.debian}")
        with ExitStack() as archives:
            archive = native = archives.enter_context(self._archive(target))
            wanted = read_wanted(attributes, archive.index, target)
            resolution = resolve(archive, wanted)
            if target != builder:
                native = archives.enter_context(self._archive(builder))
            marker = "" if target == builder else f":{builder.debian}"
            build, runtime = self._build_machine(native, wanted.runtime, marker)
        acyclic, cut = without_cycles(resolution.graph)
        debs = {deb: archive.deb(deb) for unit in acyclic for deb in resolution.debs(unit)}
        return Lock(
            release=self.release,
            system=target.system,
            architecture=target.debian,
            triplet=target.triplet,
            machine=target.machine,
            loader=target.loader,
            build=build,
            wanted=wanted.digest,
            attributes={a: unit for a, unit in wanted.attributes.items() if unit in acyclic},
            cut=cut,
            debs=debs | runtime,
            units={
                name: resolution.locked_unit(name, dependencies)
                for name, dependencies in acyclic.items()
            },
        )

    @contextmanager
    def _archive(self, architecture: Architecture) -> Iterator[Archive]:
        with private_apt(self.place, self.release, architecture.debian) as apt:
            apt.update()
            downloads = Downloads(self.place.downloads)
            yield Archive(apt, apt.packages(), downloads, self.place.cache / "scans")

    def _build_machine(
        self, archive: Archive, packages: tuple[str, ...], marker: str
    ) -> tuple[BuildMachine, dict[str, Deb]]:
        """Return the building machine, and its runtime's packages by their keys in the lock."""
        builder = self.place.host.architecture
        debs = {f"{package}{marker}": archive.deb(package) for package in packages}
        archive.downloads.fetch(archive.apt, debs.values())
        files = [archive.downloads.path(deb) for deb in debs.values()]
        with tempfile.TemporaryDirectory() as directory:
            tree = unpack_runtime(files, builder, Path(directory))
            runtime = Runtime(NAME, self.place.store.nar_hash(tree), tuple(debs))
        return BuildMachine(builder.system, builder.debian, builder.loader, runtime), debs

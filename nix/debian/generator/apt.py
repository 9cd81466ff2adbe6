"""A private apt for one release and architecture; the machine's own apt stays unchanged."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.deb822 import paragraphs
from nix.debian.generator.release import Release
from nix.debian.generator.sources import source_for
from nix.debian.generator.workplace import Workplace


class AptFailed(Exception):
    """An apt program ended with an error; the message is its last line."""


@dataclass(frozen=True, slots=True)
class Apt:
    """The programs of apt with their own state; indices are kept in the cache between runs.

    All methods block.
    """

    state: Path
    source: Path
    architecture: str

    def _options(self) -> Iterator[str]:
        empty = self.state / "empty"
        settings = {
            "Dir::State": self.state,
            "Dir::State::lists": self.state / "lists",
            "Dir::State::status": self.state / "status",
            "Dir::Cache": self.state / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::sourcelist": self.source,
            "Dir::Etc::sourceparts": empty,
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": empty,
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Get::List-Cleanup": "0",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",
        }
        for name, value in settings.items():
            yield from ("-o", f"{name}={value}")

    def _run(self, program: str, *arguments: str, directory: Path | None = None) -> str:
        try:
            done = subprocess.run(
                [program, *self._options(), *arguments],
                cwd=directory,
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError:
            raise AptFailed(f"{program} is not installed") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise AptFailed(f"{program} {arguments[-1]}: {lines[-1]}")
        return done.stdout

    def update(self) -> None:
        """Fetch the index. Raises AptFailed."""
        self._run("apt-get", "-qq", "update")

    def packages(self) -> dict[str, dict[str, str]]:
        """Return every package of the release by name; of several versions the last one listed.

        Raises AptFailed, also if the archive has no packages for the architecture: apt itself
        ignores that.
        """
        dump = self._run("apt-cache", "dumpavail")
        found = {fields["Package"]: fields for fields in paragraphs(dump.splitlines())}
        if not any(fields["Architecture"] == self.architecture for fields in found.values()):
            raise AptFailed(f"the archive has no packages for {self.architecture}")
        return found

    def versions(self, names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return the (package, version) pairs that the archive has of these names."""
        lines = self._run("apt-cache", "madison", *sorted(names)).splitlines()
        fields = (line.split("|") for line in lines)
        return frozenset((name.strip(), version.strip()) for name, version, *_ in fields)

    def download(self, packages: Iterable[str], into: Path) -> None:
        """Download packages given as `name=version`; files keep their names. Raises AptFailed."""
        self._run("apt-get", "-qq", "download", *packages, directory=into)


@contextmanager
def private_apt(place: Workplace, release: Release, architecture: str) -> Iterator[Apt]:
    """Yield an apt whose temporary configuration has one source. Raises NoSource."""
    state = place.cache / "apt" / f"{release.id}-{release.codename}-{architecture}"
    for part in ("lists/partial", "cache/archives/partial", "empty"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    text = source_for(release, place.host.release, place.host.sources)
    with tempfile.TemporaryDirectory(prefix="package-set-") as directory:
        Path(directory).chmod(0o755)
        source = Path(directory) / "release.sources"
        source.write_text(text)
        yield Apt(state, source, architecture)

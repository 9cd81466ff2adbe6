"""The Nix store, through programs that every version of Nix has."""

import os
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.progress import Progress, report

ARGUMENTS_AT_ONCE = 500
ANNOUNCED = re.compile(r"(?:these|this) (\d+ )?derivations? will be built")
BUILDING = re.compile(r"building '/nix/store/[a-z0-9]{32}-(.*)\.drv'")
LINES_KEPT = 25

FOR_ORDINARY_USERS = (
    "run this as root, or use Nix's daemon (apt-get install nix-setup-systemd, and join the group "
    "nix-users), or a store of your own: NIX_REMOTE='local?root=/a/directory'"
)


class NixMissing(Exception):
    """Nix is not on PATH, or this user may not write to its store."""


class NixFailed(Exception):
    """A Nix program failed; the message is the end of its output."""


def nix_environment() -> Mapping[str, str]:
    """Return the environment for building the set: the current one with further settings.

    No binary cache has the set. Root builds without build users, because Debian's Nix does not
    create them.
    """
    settings = [
        os.environ.get("NIX_CONFIG", ""),
        "substitute = false",
        "max-jobs = auto",
    ]
    if os.geteuid() == 0:
        settings.append("build-users-group =")
    return {**os.environ, "NIX_CONFIG": "\n".join(settings)}


@dataclass(frozen=True, slots=True)
class NixStore:
    """Runs Nix programs. All methods block."""

    environment: Mapping[str, str]

    def _run(self, *command: str | Path) -> str:
        try:
            done = subprocess.run(
                command, env=self.environment, check=False, capture_output=True, text=True
            )
        except FileNotFoundError:
            raise NixMissing("Nix is not installed; on Debian: apt-get install nix-bin") from None
        if done.returncode:
            output = done.stderr.strip()[-2000:]
            if "Permission denied" in output and os.geteuid() != 0:
                raise NixMissing(f"{output.splitlines()[-1]}; {FOR_ORDINARY_USERS}")
            raise NixFailed(output)
        return done.stdout

    def check(self) -> None:
        """Check that Nix works. Raises NixMissing."""
        self._run("nix-store", "--version")

    def invalid(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the paths that the store does not have."""
        found: set[str] = set()
        everything = sorted(paths)
        for start in range(0, len(everything), ARGUMENTS_AT_ONCE):
            batch = everything[start : start + ARGUMENTS_AT_ONCE]
            found |= set(
                self._run("nix-store", "--check-validity", "--print-invalid", *batch).split()
            )
        return frozenset(found)

    def add_files(self, files: Iterable[Path]) -> tuple[str, ...]:
        """Add files and return their store paths, in order; each has the name of its file."""
        everything = [*files]
        added: list[str] = []
        for start in range(0, len(everything), ARGUMENTS_AT_ONCE):
            batch = everything[start : start + ARGUMENTS_AT_ONCE]
            added += self._run("nix-store", "--add-fixed", "sha256", *batch).split()
        return tuple(added)

    def add_tree(self, directory: Path) -> str:
        return self._run("nix-store", "--add-fixed", "--recursive", "sha256", directory).strip()

    def nar_hash(self, directory: Path) -> str:
        """Return the hash of a directory as a NAR, in base 16."""
        return self._run("nix-hash", "--type", "sha256", directory).strip()

    def output(self, expression: Path, attribute: str, arguments: Mapping[str, str]) -> str:
        """Return the output path of a derivation, without building it."""
        return self._run(
            "nix-instantiate", "--eval", "--json", expression,
            "-A", f"{attribute}.outPath", *flags(arguments),
        ).strip().strip('"')  # fmt: skip

    def build(
        self, expression: Path, attribute: str, arguments: Mapping[str, str], root: Path
    ) -> str:
        """Build and return the output; the link `root` protects it from garbage collection.

        Raises NixFailed with the end of the log.
        """
        root.parent.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [
            "nix-build", expression, "-A", attribute, *flags(arguments), "--out-link", root,
        ]  # fmt: skip
        last: deque[str] = deque(maxlen=LINES_KEPT)
        progress, done = Progress("built", 0), 0
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr
            assert process.stdout
            for line in process.stderr:
                last.append(line)
                if found := ANNOUNCED.search(line):
                    total = int(found[1] or 1)
                    report(f"building {total} store paths")
                    progress = Progress("built", total)
                elif found := BUILDING.search(line):
                    done += 1
                    progress.step(done, found[1])
            output = str(process.stdout.read()).strip()
        if process.returncode:
            raise NixFailed("".join(last).strip())
        return output


def flags(arguments: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for name, text in arguments.items() for word in ("--argstr", name, text))

"""The Nix store, by the programs every version of Nix has."""

import os
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.progress import Progress, say

ARGUMENTS_AT_ONCE = 500
ANNOUNCED = re.compile(r"(?:these|this) (\d+ )?derivations? will be built")
BUILDING = re.compile(r"building '/nix/store/[a-z0-9]{32}-(.*)\.drv'")
LINES_KEPT = 25

FOR_ORDINARY_USERS = (
    "run this as root, or use Nix's daemon (apt-get install nix-setup-systemd, and join the group "
    "nix-users), or a store of your own: NIX_REMOTE='local?root=/a/directory'"
)


class NixMissing(Exception):
    """There is no Nix on PATH, or no store this user may write to."""


class NixFailed(Exception):
    """A Nix program ended with an error; the message is the end of what it said."""


def nix_environment() -> Mapping[str, str]:
    """Settings under which the set is built, added to those in effect.

    Nothing of the set is anywhere to be substituted from. Root needs no build users for it:
    Debian's Nix sets up none, and would refuse.
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
    """Blocking throughout."""

    environment: Mapping[str, str]

    def _run(self, *command: str | Path) -> str:
        try:
            done = subprocess.run(
                command, env=self.environment, check=False, capture_output=True, text=True
            )
        except FileNotFoundError:
            raise NixMissing("Nix is not installed; on Debian: apt-get install nix-bin") from None
        if done.returncode:
            said = done.stderr.strip()[-2000:]
            if "Permission denied" in said and os.geteuid() != 0:
                raise NixMissing(f"{said.splitlines()[-1]}; {FOR_ORDINARY_USERS}")
            raise NixFailed(said)
        return done.stdout

    def check(self) -> None:
        """Raises NixMissing."""
        self._run("nix-store", "--version")

    def invalid(self, paths: Iterable[str]) -> frozenset[str]:
        """Which of these paths the store does not have."""
        found: set[str] = set()
        everything = sorted(paths)
        for start in range(0, len(everything), ARGUMENTS_AT_ONCE):
            batch = everything[start : start + ARGUMENTS_AT_ONCE]
            found |= set(
                self._run("nix-store", "--check-validity", "--print-invalid", *batch).split()
            )
        return frozenset(found)

    def add_files(self, files: Iterable[Path]) -> tuple[str, ...]:
        """Returns their store paths, in order; each is named like its file."""
        everything = [*files]
        added: list[str] = []
        for start in range(0, len(everything), ARGUMENTS_AT_ONCE):
            batch = everything[start : start + ARGUMENTS_AT_ONCE]
            added += self._run("nix-store", "--add-fixed", "sha256", *batch).split()
        return tuple(added)

    def add_tree(self, directory: Path) -> str:
        return self._run("nix-store", "--add-fixed", "--recursive", "sha256", directory).strip()

    def nar_hash(self, directory: Path) -> str:
        """Base 16."""
        return self._run("nix-hash", "--type", "sha256", directory).strip()

    def output(self, expression: Path, attribute: str, arguments: Mapping[str, str]) -> str:
        """The output path of a derivation, without building it."""
        return self._run(
            "nix-instantiate", "--eval", "--json", expression,
            "-A", f"{attribute}.outPath", *flags(arguments),
        ).strip().strip('"')  # fmt: skip

    def build(
        self, expression: Path, attribute: str, arguments: Mapping[str, str], root: Path
    ) -> str:
        """Builds, keeps the output from collection by the link `root`, and returns it.

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
                    say(f"building {total} store paths")
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

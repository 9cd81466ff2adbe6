"""The package set as a user has it, and as a stranger's empty store builds it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.cache import cache_directory
from nix.debian.generator.nixstore import NixStore, nix_environment

REPOSITORY = Path(__file__).parents[2]
GENERATE = REPOSITORY / "nix/debian/generate.py"
TEST_PACKAGES = REPOSITORY / "tests/nix/packages"


def prepare(*arguments: str) -> Path:
    """The command as the README has it; its last word is the directory to import."""
    done = subprocess.run(
        [sys.executable, GENERATE, "prepare", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(done.stdout.strip())


def difficult_packages(directory: Path) -> Path:
    """Write a set of tests/nix/packages over the packages that are prepared on this machine."""
    (directory / "default.nix").write_text(
        f"{{ ... }}@arguments: import {TEST_PACKAGES} ({{ debian = {prepare()}; }} // arguments)\n"
    )
    return directory


def nix(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=environment or nix_environment(), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def failure(*command: str | Path) -> str:
    """Return the output of a command that must fail."""
    done = subprocess.run(
        command,
        env=nix_environment(),
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def build(directory: Path, attributes: Iterable[str], system: str = "x86_64-linux") -> tuple[Path, ...]:  # fmt: skip
    """The main outputs, in order."""
    chosen = " ".join(f"set.{attribute}" for attribute in attributes)
    expression = f'let set = import {directory} {{ system = "{system}"; }}; in [ {chosen} ]'
    out = nix("nix-build", "--no-out-link", "-E", expression)
    return tuple(Path(line) for line in out.splitlines())


def closure(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(Path(line) for line in nix("nix-store", "-qR", *paths).splitlines())


def evaluate(expression: str) -> object:
    out = nix("nix-instantiate", "--eval", "--strict", "--json", "-E", expression)
    value: object = json.loads(out)
    return value


@dataclass(frozen=True, slots=True)
class Stranger:
    """A store and a cache of their own, with the downloads made before; builds are sandboxed."""

    store: NixStore
    cache: Path


def make_stranger(directory: Path) -> Stranger:
    cache = directory / "cache"
    cache.mkdir()
    (cache / "debs").symlink_to(cache_directory() / "debs")
    environment = nix_environment()
    return Stranger(
        NixStore(
            {
                **environment,
                "NIX_REMOTE": f"local?root={directory / 'root'}",
                "NIX_CONFIG": environment["NIX_CONFIG"] + "\nsandbox = true",
            }
        ),
        cache,
    )


def hashes(paths: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """NAR hashes by store path, of what is in the store the environment names."""
    wanted = sorted(paths)
    out = nix("nix-store", "-q", "--hash", *wanted, environment=environment)
    return dict(zip(wanted, out.split(), strict=True))

"""Another Debian release's Nix beside this machine's, or this machine's, in a store of its own."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.process import SYSTEM_PATH, program, succeed
from tests.e2e.releases import loaded, unpack, with_own_libraries

# What Nix depends on by its packaging and does not load.
_LEFT_OUT = ("perl", "debconf", "dpkg", "nix-setup-systemd", "init-system-helpers", "ucf")


@dataclass(frozen=True, slots=True)
class NewerNix:
    """An unpacked Nix with a store of its own.

    ``within`` is put before a command, which then has this Nix and its store at /nix.
    """

    path: str
    within: tuple[str, ...]

    def with_store(self, directory: Path) -> "NewerNix":
        """The same programs with an empty store."""
        return NewerNix(self.path, _private_store(directory / "nix"))

    def version(self) -> str:
        return self.run("nix", "--version").split()[-1]

    def run(self, *command: str, **variables: str) -> str:
        return succeed(*self.within, *command, timeout=600, env={"PATH": self.path, **variables})


def own_nix(directory: Path) -> NewerNix:
    """This machine's Nix, the oldest that is supported, with an empty store."""
    return NewerNix(SYSTEM_PATH, _private_store(directory / "nix"))


def unpack_nix(codename: str, directory: Path) -> NewerNix:
    tree = unpack(codename, lambda index: loaded(index, "nix-bin", _LEFT_OUT), directory / "tree")
    return NewerNix(
        f"{_programs(tree, directory / 'bin')}:{SYSTEM_PATH}", _private_store(directory / "nix")
    )


def _programs(tree: Path, directory: Path) -> Path:
    """Nix's programs, run by the C library they came with."""
    directory.mkdir()
    within = " ".join(with_own_libraries(tree))
    for found in (tree / "usr/bin").glob("nix*"):
        script = directory / found.name
        # Which program it is to be Nix reads from its name; its helpers are beside it.
        script.write_text(
            f"#!/bin/sh\nexport NIX_BIN_DIR={directory}\n"
            f"exec {within} --argv0 {found.name} {tree}/usr/bin/nix"
            ' "$@"\n'
        )
        script.chmod(0o755)
    return directory


def _private_store(directory: Path) -> tuple[str, ...]:
    """Releases may write their stores' database differently: each has its own."""
    for name in ("store", "var"):
        (directory / name).mkdir(parents=True)
    mount = f'{program("mount")} --bind {directory} /nix && exec "$@"'
    assert os.geteuid() == 0, "end-to-end tests need root"
    return ("unshare", "--mount", "sh", "-c", mount, "sh")

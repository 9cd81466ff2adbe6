"""Programs on PATH that record how they were started."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """#!/bin/sh
number=1
until /bin/mkdir {starts}/$number 2> /dev/null; do number=$((number + 1)); done
start={starts}/$number
/usr/bin/env -0 > $start/environment
/bin/cat "$XDG_CONFIG_HOME/nix/nix.conf" > $start/configuration 2> /dev/null
printf '%s\\0' {name} "$@" > $start/command
printf %s {stdout}
printf %s {stderr} >&2
case {fails_with} in "" | "$1") exit {code} ;; esac
"""


@dataclass(frozen=True)
class Start:
    """A start of a program.

    ``environment`` is without the variables that a shell adds.  ``configuration`` are the lines of
    the nix.conf that the environment names.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    configuration: tuple[str, ...]

    @property
    def request(self) -> dict[str, object]:
        """The argument of one of the server's expressions."""
        document: dict[str, object] = json.loads(self.command[self.command.index("request") + 1])
        return document

    def option(self, name: str) -> str | None:
        """Return the last value of a setting of Nix: that is the one that counts."""
        found = None
        for number, word in enumerate(self.command):
            if word == "--option" and self.command[number + 1] == name:
                found = self.command[number + 2]
        return found


class RecordedPrograms:
    """Programs that record their starts; ``directory`` is a PATH with nothing else."""

    def __init__(self, home: Path) -> None:
        self.directory = home / "bin"
        self.directory.mkdir(parents=True)
        self._starts = home / "starts"
        self._starts.mkdir()

    def add(
        self,
        name: str,
        *,
        stdout: str = "",
        stderr: str = "",
        code: int = 0,
        fails_with: str = "",
    ) -> None:
        """Add a program; with ``fails_with`` it fails only if that is its first argument."""
        program = self.directory / name
        text = _SCRIPT.format(
            starts=self._starts,
            name=name,
            stdout=shlex.quote(stdout),
            stderr=shlex.quote(stderr),
            code=1 if fails_with else code,
            fails_with=shlex.quote(fails_with),
        )
        program.write_text(text)
        program.chmod(0o755)

    @property
    def starts(self) -> list[Start]:
        """Return the starts until now, in their order."""
        found = sorted(self._starts.iterdir(), key=lambda start: int(start.name))
        return [_start(one) for one in found]

    @property
    def start(self) -> Start:
        """Return the only start."""
        (start,) = self.starts
        return start


def _start(directory: Path) -> Start:
    command = (directory / "command").read_text().split("\0")[:-1]
    lines = (directory / "environment").read_text().split("\0")[:-1]
    environment = dict(line.split("=", 1) for line in lines)
    shells = {"PWD", "OLDPWD", "SHLVL", "_"}
    return Start(
        tuple(command),
        {name: v for name, v in environment.items() if name not in shells},
        tuple((directory / "configuration").read_text().splitlines()),
    )

"""The tree being built, and the question of what stands for a path of Debian's."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from nix.debian.builder.dependencies import Dependency
from nix.debian.builder.layout import Layout
from nix.debian.builder.task import Task


@dataclass(frozen=True, slots=True)
class Prefix:
    """A unit's own output trees with the closure they are looked up in.

    `files` says of each regular file, by its place, whether it is executable.
    """

    task: Task
    layout: Layout
    closure: tuple[Dependency, ...]
    files: dict[str, bool] = field(default_factory=dict)

    def absolute(self, place: str) -> Path:
        """Where a place of this unit is on disk; manual pages may have an output of their own."""
        if self.task.man and place.startswith("share/man/"):
            return self.task.man / place
        return self.task.out / place

    def in_closure(self, place: str) -> Path | None:
        for dependency in self.closure:
            if os.path.lexists(path := dependency.path / place):
                return path
        return None

    def locate(self, debian_path: str) -> Path | None:
        """The store path that stands for an absolute Debian path, if any does."""
        place = self.layout.place(debian_path)
        if place is None or "/" not in place:
            return None
        own = self.absolute(place)
        return own if os.path.lexists(own) else self.in_closure(place)

    def program(self, name: str) -> Path | None:
        """A program by its name, of this unit or of one it depends on."""
        own = self.absolute(f"bin/{name}")
        return own if os.path.lexists(own) else self.in_closure(f"bin/{name}")

    def library_directory(self, soname: str) -> Path | None:
        """The directory of a library in the closure."""
        for dependency in self.closure:
            if soname in dependency.record.sonames:
                return dependency.path / dependency.record.sonames[soname]
        return None

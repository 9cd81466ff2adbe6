"""A directory that Nix can import: the set's expressions with a lock for each system.

The source tree has one. Others are made in the cache, with copied expressions, so that each is a
complete package source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parent.parent
EXPRESSIONS = ("*.nix", "*.sh", "*.c", "builder/*.py", "licenses.json")


@dataclass(frozen=True, slots=True)
class SetDirectory:
    path: Path

    def lock(self, system: str) -> Path:
        return self.path / "locks" / f"{system}.json"

    def absent(self, system: str) -> Path:
        """Return the file that marks a system without packages in the archive."""
        return self.path / "locks" / f"{system}.absent"

    def is_complete(self, systems: Iterable[str]) -> bool:
        """Return whether each of these systems was resolved or marked as absent."""
        return all(self.lock(s).is_file() or self.absent(s).is_file() for s in systems)

    @property
    def everything(self) -> Path:
        """The expression whose attributes refer to all of the set."""
        return self.path / "all.nix"


def refresh(directory: SetDirectory, tree: Path = TREE) -> None:
    """Copy changed expressions from the tree; each file is replaced atomically."""
    if directory.path == tree:
        return
    for pattern in EXPRESSIONS:
        for source in sorted(tree.glob(pattern)):
            target = directory.path / source.relative_to(tree)
            content = source.read_bytes()
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                new = target.with_name(target.name + ".new")
                new.write_bytes(content)
                new.replace(target)

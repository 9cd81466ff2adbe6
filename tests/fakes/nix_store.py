"""A Nix store in a temporary directory: derivations, store paths as real trees, roots."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.roots import TemporaryRoots
from tests.fakes.package_set import REFERENCE, Attribute, Link, Package

CACHE = "https://cache.invalid"
_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"


@dataclass(frozen=True)
class Derivation:
    """A derivation of a fake store.

    ``inputs`` are the derivations of the packages that ``package`` refers to, by attribute.
    """

    path: StorePath
    package: Package
    inputs: Mapping[str, "Derivation"]

    @property
    def outputs(self) -> dict[str, StorePath]:
        name = self.package.name
        return {
            output: _path([self.path.base, output], name if output == "out" else f"{name}-{output}")
            for output in self.package.outputs
        }

    @property
    def default(self) -> StorePath:
        return next(iter(self.outputs.values()))


class FakeStore:
    """A store without Nix.

    ``directory`` holds the trees, each under the base name of its store path.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "store"
        self.directory.mkdir(parents=True)
        self._roots = directory / "roots"
        self._roots.mkdir()
        self._derivations: dict[StorePath, Derivation] = {}
        self._written: set[StorePath] = set()
        self._objects: dict[StorePath, StoreObject] = {}

    def instantiate(
        self, package: Package, attributes: Mapping[str, Attribute], system: str, *, write: bool
    ) -> Derivation:
        """Return the derivation of a package; ``write`` its file and those of its dependencies."""
        inputs = {}
        for name in sorted(package.references):
            dependency = attributes[name]
            assert isinstance(dependency, Package), name
            inputs[name] = self.instantiate(dependency, attributes, system, write=write)
        identity = [system, repr(package), *(one.path.base for one in inputs.values())]
        derivation = Derivation(_path(identity, f"{package.name}.drv"), package, inputs)
        self._derivations[derivation.path] = derivation
        if write:
            self._written.add(derivation.path)
            (self.directory / derivation.path.base).touch()
        return derivation

    def derivation(self, path: StorePath) -> Derivation:
        """Return a derivation that was instantiated, whether its file is there or not."""
        return self._derivations[path]

    def is_written(self, path: StorePath) -> bool:
        """Return whether the file of a derivation was written and not deleted."""
        return path in self._written

    def is_valid(self, path: StorePath) -> bool:
        return path in self._objects

    def write(self, derivation: Derivation) -> None:
        """Make all outputs of a derivation valid; those of its dependencies have to be."""
        for output, path in derivation.outputs.items():
            place = self.directory / path.base
            _plant(place, derivation)
            needed = {
                derivation.inputs[name].default for name in derivation.package.references_of(output)
            }
            archive = _archive(place)
            digest = hashlib.sha256(archive).hexdigest()
            self._objects[path] = StoreObject(path, len(archive), tuple(sorted(needed)), digest)

    def substitute(self, derivation: Derivation, on_line: Callable[[str], None]) -> None:
        """Make the outputs and their dependencies valid, as from a binary cache."""
        for needed in derivation.inputs.values():
            self.substitute(needed, on_line)
        for path in derivation.outputs.values():
            if not self.is_valid(path):
                on_line(f"fetching {path} from {CACHE}")
        self.write(derivation)

    def to_build(self, derivation: Derivation) -> set[StorePath]:
        """Return the derivations to build before the outputs of this one are valid."""
        if all(map(self.is_valid, derivation.outputs.values())):
            return set()
        inputs = map(self.to_build, derivation.inputs.values())
        return {derivation.path}.union(*inputs)

    def closure(self, paths: Iterable[StorePath]) -> Closure:
        """Raise KeyError for a path that is not valid."""
        found: dict[StorePath, StoreObject] = {}
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found[path] = self._objects[path]
                waiting += found[path].references
        return Closure(found.values())

    @contextmanager
    def temporary_roots(self) -> Iterator[TemporaryRoots]:
        directory = self._roots / uuid4().hex
        directory.mkdir()
        try:
            yield TemporaryRoots(directory)
        finally:
            shutil.rmtree(directory)

    def delete(self, path: StorePath) -> bool:
        """Delete a path as the garbage collector would; return False if a root keeps it."""
        roots = (StorePath.parse(str(link.readlink())) for link in self._roots.glob("*/*"))
        if path in self.closure(roots):
            return False
        self._written.discard(path)
        self._objects.pop(path, None)
        place = self.directory / path.base
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        return True


def _path(identity: list[str], name: str) -> StorePath:
    digest = hashlib.sha256(json.dumps([*identity, name]).encode()).digest()
    return StorePath("".join(_ALPHABET[byte % 32] for byte in digest) + f"-{name}")


def _plant(place: Path, derivation: Derivation) -> None:
    output = next(name for name, path in derivation.outputs.items() if path.base == place.name)
    files = derivation.package.outputs[output]

    def resolved(text: str) -> str:
        return REFERENCE.sub(lambda found: str(derivation.inputs[found[1]].default), text)

    for path, entry in files.items():
        file = place / path if path else place
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Link):
            file.symlink_to(resolved(entry.target))
        else:
            file.write_text(resolved(entry))
            file.chmod(0o555 if path.startswith("bin/") else 0o444)


def _archive(place: Path) -> bytes:
    """Return a tree as a NAR (Nix: src/libutil/archive.cc)."""
    return _texts("nix-archive-1") + _node(place)


def _node(place: Path) -> bytes:
    if place.is_symlink():
        return _texts("(", "type", "symlink", "target", str(place.readlink()), ")")
    if place.is_dir():
        entries = (
            _texts("entry", "(", "name", entry.name, "node") + _node(entry) + _texts(")")
            for entry in sorted(place.iterdir())
        )
        return _texts("(", "type", "directory") + b"".join(entries) + _texts(")")
    executable = ("executable", "") if place.stat().st_mode & 0o100 else ()
    head = _texts("(", "type", "regular", *executable, "contents")
    return head + _padded(place.read_bytes()) + _texts(")")


def _texts(*texts: str) -> bytes:
    return b"".join(_padded(text.encode()) for text in texts)


def _padded(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content + bytes(-len(content) % 8)

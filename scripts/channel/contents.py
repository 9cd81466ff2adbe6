"""A package set and the binary cache that has all of it.

The packages have the names, contents and references of the built paths of the embedded set.  Paths
are repeated until there are enough, with outputs of their own: Nix computes these from derivations
that are never built.
"""

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from app.builder.nix.closure import StorePath
from app.builder.nix.nar import encode
from scripts.channel.cache import CacheWriter, SigningKey

# Sources, packages of Debian, and paths of tests.
_OTHERS = (".drv", ".deb", "source", "-bomb", "-large", "-units", "-runtime", "whiteout-1.0")
# The largest path of a closure, as a part of the whole: usual for compilers and interpreters.
_LARGEST = 8
_KEY_NAME = "channel-1"
# A channel's archive has one directory with the set in it.
_TOP = "nixpkgs-1"


@dataclass(frozen=True)
class _Original:
    path: StorePath
    size: int
    references: tuple[StorePath, ...]


@dataclass(frozen=True)
class _Package:
    """A repetition of ``original``; ``needs`` are the numbers of other packages."""

    original: _Original
    needs: tuple[int, ...]


def make(directory: Path, *, compression: str, size: int, paths: int) -> dict[str, object]:
    """Write both.  Return the public key, and the paths and bytes of the attribute ``everything``."""
    originals = [one for one in _originals() if one.size <= size // _LARGEST]
    packages = _repeated(originals, size=size, paths=paths)
    (directory / "set").mkdir(parents=True, exist_ok=True)
    (directory / "set" / "default.nix").write_text(_expression(packages))
    outputs = _outputs(directory / "set", len(packages))
    with tarfile.open(directory / "archive.tar.gz", "w:gz") as archive:
        archive.add(directory / "set", _TOP)
    channel = directory / "releases" / "nixos-unstable" / "1"
    channel.mkdir(parents=True, exist_ok=True)
    (channel / "git-revision").write_text("1" * 40)
    writer = CacheWriter(directory, SigningKey.new(_KEY_NAME), compression)
    writer.begin()
    total = 0
    for package, output in zip(packages, outputs, strict=True):
        dump = ["nix-store", "--dump", str(package.original.path)]
        content = subprocess.run(dump, check=True, capture_output=True).stdout
        total += len(content)
        writer.add(output, content, [outputs[number] for number in package.needs])
    everything = (b"nix-archive-1", b"(", b"type", b"directory", b")")
    writer.add(_outputs_of(directory / "set", ["everything"])[0], encode(*everything), outputs)
    (directory / "public").write_text(writer.key.public)
    return {"key": writer.key.public, "paths": len(packages) + 1, "bytes": total}


def _originals() -> list[_Original]:
    """Return built outputs of the embedded set, each after those that it refers to."""
    command = ("nix", "path-info", "--all", "--json")
    features = ("--extra-experimental-features", "nix-command")
    done = subprocess.run([*command, *features], check=True, capture_output=True)
    originals = [_original(info) for info in json.loads(done.stdout)]
    found = {original.path: original for original in originals if original is not None}
    ordered: dict[StorePath, _Original] = {}

    def add(path: StorePath) -> None:
        if path in found and path not in ordered:
            for reference in found[path].references:
                add(reference)
            ordered[path] = found[path]

    for path in sorted(found, key=lambda one: -found[one].size):
        add(path)
    return list(ordered.values())


def _original(info: dict[str, object]) -> _Original | None:
    path = StorePath.parse(str(info["path"]))
    size, references = info["narSize"], info["references"]
    assert isinstance(size, int)
    assert isinstance(references, list)
    if path.name.endswith(_OTHERS):
        return None
    parsed = [StorePath.parse(str(reference)) for reference in references]
    return _Original(path, size, tuple(one for one in parsed if one != path))


def _repeated(originals: list[_Original], *, size: int, paths: int) -> list[_Package]:
    """Choose so many paths of all sizes, and repeat the largest ones until there are enough bytes."""
    spread = originals[:: max(len(originals) // paths, 1)][:paths]
    large = sorted(originals, key=lambda one: (-one.size, one.path))[: paths // 5]
    packages: list[_Package] = []
    numbers: dict[StorePath, int] = {}
    total = 0
    # The first round has the paths in the order of their references.
    for original in [*spread, *(one for _ in range(paths) for one in large)]:
        if total >= size and len(packages) >= len(spread):
            break
        if total + original.size <= size:
            needs = {numbers[one] for one in original.references if one in numbers}
            numbers.setdefault(original.path, len(packages))
            packages.append(_Package(original, tuple(sorted(needs))))
            total += original.size
    return packages


def _expression(packages: list[_Package]) -> str:
    """Return a package set with an attribute for each package, and one that needs them all."""
    lines = [
        '{ system ? "x86_64-linux", ... }:',
        "let",
        "  package = name: number: needs: derivation {",
    ]
    lines += [
        "    inherit name system needs number;",
        '    builder = "/bin/false";',
        "  };",
        "  set = {",
    ]
    for number, package in enumerate(packages):
        needs = " ".join(f"set.p{one}" for one in package.needs)
        lines.append(
            f'    p{number} = package "{package.original.path.name}" "{number}" [ {needs} ];'
        )
    everything = " ".join(f"set.p{number}" for number in range(len(packages)))
    lines += [f'    everything = package "everything" "" [ {everything} ];', "  };", "in set", ""]
    return "\n".join(lines)


def _outputs(directory: Path, count: int) -> list[StorePath]:
    return _outputs_of(directory, [f"p{number}" for number in range(count)])


def _outputs_of(directory: Path, names: list[str]) -> list[StorePath]:
    wanted = " ".join(f"set.{name}.outPath" for name in names)
    expression = f"let set = import {directory.resolve()} {{ }}; in [ {wanted} ]"
    evaluated = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "-E", expression],
        check=True,
        capture_output=True,
        text=True,
    )
    return [StorePath.parse(path) for path in json.loads(evaluated.stdout)]

"""What one build is asked to do, as Nix wrote it down."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a unit differs from a plain unpacking; the tables of wanted/units.toml explain each."""

    env: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    redirect: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    wrap: frozenset[str] | None = None
    dlopen: tuple[str, ...] = ()
    unresolved: frozenset[str] = frozenset()
    adjust: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One unit to build; paths are store paths."""

    unit: str
    out: Path
    man: Path | None
    other_outputs: tuple[Path, ...]
    debs: tuple[Path, ...]
    dependencies: Mapping[str, str]
    triplet: str
    machine: int
    loader: str
    redirect_library: str
    recipe: Recipe
    zstd: tuple[str, ...]

    def expand(self, text: str) -> str:
        """Puts store paths in place of `@unit@`; `@out@` is this unit's own."""
        return re.sub(
            r"@([\w.+-]+)@",
            lambda found: str(self.out) if found[1] == "out" else self.dependencies[found[1]],
            text,
        )


def parse_task(document: Mapping[str, Any], zstd: tuple[str, ...]) -> Task:
    """Reads the derivation's structured attributes."""
    outputs = {name: Path(path) for name, path in document["outputs"].items()}
    main = document["mainOutput"]
    recipe = document["recipe"]
    return Task(
        unit=document["unit"],
        out=outputs[main],
        man=outputs.get("man"),
        other_outputs=tuple(path for name, path in outputs.items() if name not in (main, "man")),
        debs=tuple(Path(path) for path in document["debs"]),
        dependencies=document["dependencies"],
        triplet=document["triplet"],
        machine=document["machine"],
        loader=document["loader"],
        redirect_library=document["redirectLibrary"],
        recipe=Recipe(
            env=recipe.get("env", {}),
            links=recipe.get("links", {}),
            redirect=recipe.get("redirect", {}),
            path=tuple(recipe.get("path", ())),
            only=frozenset(recipe.get("only", ())),
            wrap=frozenset(recipe["wrap"]) if "wrap" in recipe else None,
            dlopen=tuple(recipe.get("dlopen", ())),
            unresolved=frozenset(recipe.get("unresolved", ())),
            adjust=recipe.get("adjust"),
        ),
        zstd=zstd,
    )


def read_task(path: Path, zstd: tuple[str, ...]) -> Task:
    return parse_task(json.loads(path.read_text()), zstd)

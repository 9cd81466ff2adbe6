"""Package sets as values, for ``FakeNix`` and, as text, for the real programs.

A text of a file may contain ``@name@``, which stands for the store path of another attribute
of the same set, and makes it a dependency.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.builder.nix.results import License

REFERENCE = re.compile(r"@([\w.-]+)@")


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


Files = Mapping[str, str | Link]
"""By path in the output; a path below ``bin/`` is executable, and ``""`` is the output itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A derivation.

    ``refusal`` is the error that its evaluation throws.  The build prints ``log``, takes
    ``build_seconds`` and fails if ``fails``.  ``is_cached`` puts it into the binary cache.
    ``system`` is the one it is built on, None for any.
    """

    name: str
    outputs: Mapping[str, Files] = field(default_factory=dict)
    refusal: str = ""
    log: tuple[str, ...] = ()
    build_seconds: float = 0
    fails: bool = False
    is_cached: bool = False
    system: str | None = None
    licenses: tuple[License, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    insecure: bool = False
    broken: bool = False
    priority: int | None = None
    main_program: str | None = None
    description: str | None = None
    homepage: str | None = None
    documentation: str | None = None
    position: str | None = None
    cpe: str | None = None
    purl: str | None = None

    @property
    def pname(self) -> str:
        return self._named[0]

    @property
    def version(self) -> str:
        return self._named[1]

    @property
    def references(self) -> frozenset[str]:
        """The attributes that its files name."""
        return frozenset(name for output in self.outputs for name in self.references_of(output))

    def references_of(self, output: str) -> frozenset[str]:
        texts = (
            entry.target if isinstance(entry, Link) else entry
            for entry in self.outputs[output].values()
        )
        return frozenset(name for text in texts for name in REFERENCE.findall(text))

    @property
    def _named(self) -> tuple[str, str]:
        """As ``builtins.parseDrvName`` divides a name."""
        found = re.search(r"-(?![A-Za-z])", self.name)
        return (self.name[: found.start()], self.name[found.end() :]) if found else (self.name, "")


@dataclass(frozen=True, slots=True)
class Throws:
    """An attribute with an error that Nix can catch."""

    message: str


@dataclass(frozen=True, slots=True)
class Aborts:
    """An attribute with an error that ends the evaluation."""

    message: str


@dataclass(frozen=True, slots=True)
class Endless:
    """An attribute whose evaluation does not end."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An attribute that needs a file from the network."""

    url: str


@dataclass(frozen=True, slots=True)
class Value:
    """An attribute that is not a package, such as "a function" (``KINDS`` of nix_text.py)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Packages:
    """A set that declares itself to contain packages (``recurseForDerivations``)."""

    attributes: Mapping[str, "Attribute"]


@dataclass(frozen=True, slots=True)
class PerSystem:
    """An attribute at the top of a set, by the Nix systems on which the set has it."""

    attributes: Mapping[str, "Attribute"]


Attribute = (
    Package
    | Throws
    | Aborts
    | Endless
    | Unreachable
    | Value
    | Packages
    | Mapping[str, "Attribute"]
    | PerSystem
)


def on_system(attributes: Mapping[str, Attribute], system: str) -> dict[str, Attribute]:
    """Return the attributes that the set has on a system."""
    return {
        name: one.attributes[system] if isinstance(one, PerSystem) else one
        for name, one in attributes.items()
        if not isinstance(one, PerSystem) or system in one.attributes
    }


def only(system: str, attribute: Attribute) -> PerSystem:
    """Return an attribute that the set has on one system."""
    return PerSystem({system: attribute})


def package(name: str, files: Files | str = "", **details: object) -> Package:
    """Return a package with one output; a text in place of files is that of one file."""
    tree = {"": files or f"{name}\n"} if isinstance(files, str) else files
    return Package(name=name, outputs={"out": tree}, **details)  # type: ignore[arg-type]

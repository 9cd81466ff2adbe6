"""What an image name asks for: a source, a system, packages and a few properties."""

from collections.abc import Collection
from dataclasses import dataclass

from app.errors import NameInvalid
from app.reference import RepositoryName

# In every image, so that TLS works and service names are known.
ALWAYS = ("cacert", "iana-etc")
SHELL = ("bashInteractive", "coreutils", "moreutils", "nano")
SYSTEMS = {"amd64": "x86_64-linux", "arm64": "aarch64-linux"}
META_PACKAGES = frozenset({"shell", "nonroot", *SYSTEMS})
COMPONENT_LIMIT = 64


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """``packages`` are sorted, each once; ``source`` is None for the default one.

    ``asked`` are those that the name itself contains; the others come with every image or with
    ``shell``.
    """

    source: str | None
    system: str
    packages: tuple[str, ...]
    nonroot: bool
    asked: frozenset[str]

    @classmethod
    def parse(
        cls, name: RepositoryName, *, sources: Collection[str], system: str
    ) -> "ImageRequest":
        """``sources`` are the names that a first component may be; ``system`` the default.

        Raises NameInvalid.
        """
        if len(name.components) > COMPONENT_LIMIT:
            raise NameInvalid(f"an image name has at most {COMPONENT_LIMIT} components")
        source, asked = _split(name, sources)
        architectures = sorted(asked & SYSTEMS.keys())
        if len(architectures) > 1:
            raise NameInvalid(f"an image has one architecture, not {' and '.join(architectures)}")
        named = asked - META_PACKAGES
        packages = {*named, *ALWAYS}
        if "shell" in asked:
            # bashinteractive is how a client writes the shell's own bashInteractive.
            named -= {name.lower() for name in SHELL}
            packages = {*named, *ALWAYS, *SHELL}
        return cls(
            source=source,
            system=SYSTEMS[architectures[0]] if architectures else system,
            packages=tuple(sorted(packages)),
            nonroot="nonroot" in asked,
            asked=frozenset(named),
        )

    @property
    def supplied(self) -> tuple[str, ...]:
        """The packages that the name does not contain."""
        return tuple(name for name in self.packages if name not in self.asked)


def spelling(name: RepositoryName, *, sources: Collection[str]) -> RepositoryName:
    """One for all names with the same components: each once, ``shell`` and its like first.

    A package that is called like a source is last, as it may not come first.
    """
    source, asked = _split(name, sources)
    order = sorted(asked, key=lambda word: (word in sources, word not in META_PACKAGES, word))
    return RepositoryName("/".join(order if source is None else (source, *order)))


def _split(name: RepositoryName, sources: Collection[str]) -> tuple[str | None, set[str]]:
    first, *rest = name.components
    return (first, set(rest)) if first in sources else (None, {first, *rest})


@dataclass(frozen=True, slots=True)
class UnfinishedName:
    """An image name as far as somebody has written it: ``last`` is the component being written.

    ``source`` and ``system`` are what the components before it say.
    """

    source: str | None
    system: str
    last: str

    @classmethod
    def parse(cls, text: str, *, sources: Collection[str], system: str) -> "UnfinishedName":
        *finished, last = text.split("/")
        return cls(
            source=finished[0] if finished and finished[0] in sources else None,
            system=next((SYSTEMS[word] for word in finished if word in SYSTEMS), system),
            last=last,
        )

"""Image names as requests: a source, a system, packages and a few properties."""

from collections.abc import Collection
from dataclasses import dataclass, field

from app.errors import NameInvalid
from app.reference import RepositoryName

# Part of every image, for TLS and the names of services.
ALWAYS = ("cacert", "iana-etc")
SHELL = ("bashInteractive", "coreutils", "moreutils", "nano")
# Names that stand for packages; the image starts a shell, except for FOREIGN.
FOREIGN = "foreign"
META = {
    "shell": SHELL,
    # What GitLab, GitHub and Tekton need for the steps of a job.
    "ci": (
        *("bashInteractive", "coreutils", "curl", "findutils", "gawk", "git", "gnugrep", "gnused"),
        *("gnutar", "gzip", "openssh"),
    ),
    # For `kubectl debug` and its like: processes, sockets, names, system calls.
    "debug": (
        *("bashInteractive", "coreutils", "curl", "findutils", "gawk", "getent", "gnugrep"),
        *("gnused", "iproute2", "iputils", "less", "netcat", "procps", "strace"),
    ),
    # For programs of other distributions: the loader, and libraries that most of them need.
    FOREIGN: ("glibc", "stdenv.cc.cc.lib", "zlib"),
    # A static shell, which nixpkgs has for Nix's sandbox.
    "minimal": ("busybox-sandbox-shell",),
}
SYSTEMS = {"amd64": "x86_64-linux", "arm64": "aarch64-linux"}
ARCHITECTURES = {system: architecture for architecture, system in SYSTEMS.items()}
META_PACKAGES = frozenset({*META, "nonroot", "few-layers", *SYSTEMS})
COMPONENT_LIMIT = 64


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image name, parsed.

    ``packages`` are sorted and unique.  ``source`` is None for the default source.  ``named`` are
    the packages in the name itself; the others are part of every image or of ``meta``, the names
    that stand for packages.  ``one_system`` is true if the name has an architecture: it is not that
    of an index.  ``first`` is the architecture that an index begins with, which decides nothing.
    ``few_layers`` images are for clients and programs that handle many layers badly.
    """

    source: str | None
    system: str
    packages: tuple[str, ...]
    nonroot: bool
    named: frozenset[str]
    meta: frozenset[str] = frozenset()
    one_system: bool = False
    few_layers: bool = False
    first: str = field(default="", compare=False)

    @classmethod
    def parse(
        cls, name: RepositoryName, *, sources: Collection[str], system: str
    ) -> "ImageRequest":
        """Parse the components of a name.

        ``sources`` are possible first components; ``system`` is the default.  Raises NameInvalid.
        """
        if len(name.components) > COMPONENT_LIMIT:
            raise NameInvalid(f"an image name has at most {COMPONENT_LIMIT} components")
        source, requested = _split(name, sources)
        architectures = sorted(requested & SYSTEMS.keys())
        if len(architectures) > 1:
            raise NameInvalid(f"an image has one architecture, not {' and '.join(architectures)}")
        named = requested - META_PACKAGES
        meta = requested & META.keys()
        meant = {package for name in meta for package in META[name]}
        # Image names are in lower case: bashinteractive is the shell's bashInteractive.
        named -= {package.lower() for package in meant}
        packages = {*named, *ALWAYS, *meant}
        return cls(
            source=source,
            system=SYSTEMS[architectures[0]] if architectures else system,
            packages=tuple(sorted(packages)),
            nonroot="nonroot" in requested,
            named=frozenset(named),
            meta=frozenset(meta),
            one_system=bool(architectures),
            few_layers="few-layers" in requested,
        )

    @property
    def interactive(self) -> bool:
        """Return whether the name has a meta package with a shell."""
        return not self.meta <= {FOREIGN}

    @property
    def key_parts(self) -> dict[str, object]:
        """What the name decides of an image, for keys, except for its system and its layers."""
        parts: dict[str, object] = {
            "packages": self.packages,
            "nonroot": self.nonroot,
            "meta": sorted(self.meta),
        }
        # Labels depend on the named packages.  The parts above decide these but for one case.
        always = sorted(self.named.intersection(ALWAYS))
        return {**parts, "named": always} if always else parts

    @property
    def supplied(self) -> tuple[str, ...]:
        """The packages that the name does not contain."""
        return tuple(name for name in self.packages if name not in self.named)


def spelling(name: RepositoryName, *, sources: Collection[str]) -> RepositoryName:
    """Return one name for all names with the same components, meta packages first.

    A package with the name of a source is last, because the first component selects a source.
    """
    source, requested = _split(name, sources)
    order = sorted(requested, key=lambda word: (word in sources, word not in META_PACKAGES, word))
    return RepositoryName("/".join(order if source is None else (source, *order)))


def _split(name: RepositoryName, sources: Collection[str]) -> tuple[str | None, set[str]]:
    first, *rest = name.components
    return (first, set(rest)) if first in sources else (None, {first, *rest})


@dataclass(frozen=True, slots=True)
class UnfinishedName:
    """The beginning of an image name; ``last`` is its incomplete component.

    ``source`` and ``system`` are selected by the complete components, or None.
    """

    source: str | None
    system: str | None
    last: str

    @classmethod
    def parse(cls, text: str, *, sources: Collection[str]) -> "UnfinishedName":
        *finished, last = text.split("/")
        return cls(
            source=finished[0] if finished and finished[0] in sources else None,
            system=next((SYSTEMS[word] for word in finished if word in SYSTEMS), None),
            last=last,
        )

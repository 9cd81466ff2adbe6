"""The door to Nix: evaluate packages, and make their store paths valid.

``app.builder.nix.store`` reads the store paths.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from app.builder.nix.preview import StorePreview
from app.builder.nix.results import EvaluationResult, Found
from app.builder.nix.roots import TemporaryRoots
from app.errors import EvaluationFailed, SourceUnavailable


class EvaluationStopped(EvaluationFailed):
    """A limit or the machine ended the evaluation: the package set may be correct."""


class OneOfManyFailed(EvaluationFailed):
    """One of several names ended the evaluation; evaluate fewer to find out which."""


class InputUnreachable(SourceUnavailable):
    """A host that the package set fetches from is unreachable: the set may be correct."""


class DerivationsMissing(Exception):
    """A derivation file is needed that was not written, or was deleted: evaluate again."""


@dataclass(frozen=True, slots=True)
class Flake:
    """A flake, and how to refer to its inputs.

    ``directory`` contains flake.nix.  ``date`` is that of the commit, in seconds since 1970.
    ``wrapped``: the reference is another flake, whose only input is this one.  ``places`` has the
    name of each input, and how messages of Nix refer to it; ``branches`` has the branches and tags.
    """

    directory: str
    commit: str
    date: int
    wrapped: bool = False
    places: tuple[tuple[str, str], ...] = ()
    branches: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PackageSet:
    """A package set that is imported from a path, or the ``flake`` at the path.

    ``readable`` are other paths that it reads.  ``submodules`` are its directories whose files
    were not fetched.  ``search_path`` has the path of each ``<name>``.  ``is_file``: the path is
    not a directory.
    """

    kind: Literal["path", "flake"]
    reference: str
    readable: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()
    search_path: tuple[tuple[str, str], ...] = ()
    flake: Flake | None = None
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """The packages that nixpkgs would refuse, and that the operator allows.

    Each rule is true (all), false (none), or a set of pnames.  Results depend on the rules.
    """

    unfree: bool | tuple[str, ...]
    insecure: bool | tuple[str, ...]
    broken: bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A package set to evaluate, and the limits of the evaluation.

    ``restricted`` confines it to the package set's own files, without network.  ``source`` is
    its name in messages.  ``revision`` identifies the current files of the set; with None no
    process that has read them is kept.  ``read_only``: the results are needed without derivation
    files, which are then written only for a set that does not evaluate without them.
    """

    source: str
    package_set: PackageSet
    system: str
    allowed: Allowed
    restricted: bool
    seconds: float
    memory: int
    revision: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class RealiseOptions:
    """How packages of one source may be realised.

    ``substituters`` None means those of nix.conf.  ``sandboxed`` forbids Nix to build without its
    sandbox where the kernel does not offer one.  Builds of a source that is not ``trusted`` get no
    passwords.
    """

    source: str
    seconds: float
    build: bool
    substituters: tuple[str, ...] | None
    sandboxed: bool = False
    trusted: bool = True


Kind = Literal["package", "packages", "set", "other"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by its ``number`` in the scanned list, and what it is.

    ``inner`` are the names in a set that declares itself to contain packages.
    """

    number: int
    kind: Kind
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeScan:
    """The attributes that a scan reached.

    ``names`` are all names at the top; () unless the list starts with the first attribute.
    ``failure`` ended the evaluation at the attribute ``failed_at``.
    """

    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    failed_at: int = -1
    failure: EvaluationFailed | None = None


class NixEvaluator(Protocol):
    """Evaluate package sets."""

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        """Return a result for each name, in their order.

        With ``explain`` an error of the package set is raised in place of a result.
        Raises EvaluationFailed, EvaluationStopped, OneOfManyFailed, InputUnreachable.
        """

    async def unpinned(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Return the inputs that a flake does not pin.  Raises the errors of ``evaluate``."""

    async def scan(
        self, evaluation: Evaluation, *, start: int = 0, only: Sequence[str] | None = None
    ) -> AttributeScan:
        """Return what attributes are, from the ``start``-th on, without making derivations.

        The attributes are those at the top, or ``only`` these names.  Raises the errors of
        ``evaluate`` if the evaluation ended before it reached an attribute.
        """

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        """Return the attribute names of one set; () without a set of this name.

        Raises the errors of ``evaluate``.
        """


class NixRealiser(Protocol):
    """Make the outputs of derivations valid store paths."""

    def needs_derivations(self, options: RealiseOptions) -> bool:
        """Return whether ``realise`` needs derivation files even where nothing is built."""

    async def realise(
        self,
        packages: Sequence[Found],
        options: RealiseOptions,
        *,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        """Make the packages' output paths valid, and keep them until the roots are released.

        Transient faults are retried.  Raises BuildFailed, BuildTimedOut, PolicyRefused,
        DerivationsMissing, DownloadFailed, StoreUnavailable.
        """

    async def preview(self, packages: Sequence[Found], options: RealiseOptions) -> StorePreview:
        """Return what ``realise`` would do, without doing it.

        Raises BuildFailed for a path that its derivation does not have, DerivationsMissing,
        DownloadFailed, StoreUnavailable.
        """

    def temporary_roots(self) -> AbstractAsyncContextManager[TemporaryRoots]:
        """Open a directory for roots, which protect paths from the garbage collector."""


class Nix(NixEvaluator, NixRealiser, Protocol):
    """Both halves of the door."""

"""The door to Nix: evaluate, realise, closure, and nothing else leaves or enters."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.results import EvaluationResult, Found
from app.builder.nix.roots import TemporaryRoots
from app.errors import EvaluationFailed, SourceUnavailable


class EvaluationStopped(EvaluationFailed):
    """A limit or the machine ended the evaluation; it says nothing about the package set."""


class OneOfManyFailed(EvaluationFailed):
    """One of several names ended the evaluation; ask for fewer to learn which one."""


class InputUnreachable(SourceUnavailable):
    """Something that the package set fetches cannot be had now; it says nothing about the set."""


class DerivationsGone(Exception):
    """A derivation was collected as garbage since it was evaluated: evaluate again."""


@dataclass(frozen=True, slots=True)
class Flake:
    """``directory`` is where its flake.nix is; ``date`` is the commit's, in seconds since 1970.

    ``wrapped`` if the reference is that of another flake, of which it is the only input.
    ``places`` are the names of its inputs, and what Nix calls each in its messages.
    """

    directory: str
    commit: str
    date: int
    wrapped: bool = False
    places: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PackageSet:
    """A package set to be imported from a path; with ``flake``, the flake that is there.

    ``readable`` are paths outside of it that it reads as well; ``submodules`` are directories
    in it whose files were not fetched; ``search_path`` is what ``<name>`` stands for in it;
    ``is_file`` tells that the path is not a directory.
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
    """Each is all, none, or the pnames allowed; this is part of what an answer depends on."""

    unfree: bool | tuple[str, ...]
    insecure: bool | tuple[str, ...]
    broken: bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to evaluate, and how far it may go.

    ``restricted`` keeps it to the package set's own files, without network.  ``source`` is
    what the package set is called in messages.  ``revision`` tells what the package set's files
    are now from what they were or will be; with None nothing read of them may be kept.
    """

    source: str
    package_set: PackageSet
    system: str
    allowed: Allowed
    restricted: bool
    seconds: float
    memory: int
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Realisation:
    """How packages may come to be.  ``substituters`` None means Nix's own configuration.

    ``sandboxed`` forbids Nix to build without its sandbox where the kernel does not offer one.
    """

    source: str
    seconds: float
    build: bool
    substituters: tuple[str, ...] | None
    sandboxed: bool = False


Kind = Literal["package", "packages", "set", "other"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """``inner`` are the names in a set that says of itself that packages are in it."""

    number: int
    kind: Kind
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """``names`` are all at the top, if the look began with the first one.

    ``failure`` ended the evaluation at the attribute ``failed_at``.
    """

    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    failed_at: int = -1
    failure: EvaluationFailed | None = None


class Nix(Protocol):
    """``starts`` counts the processes started, by what for."""

    starts: Counter[str]

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        """An answer for each name, in their order.

        With ``explain`` an error of the package set is raised instead of answered.
        Raises EvaluationFailed, EvaluationStopped, OneOfManyFailed, InputUnreachable.
        """

    async def unpinned(self, evaluation: Evaluation) -> tuple[str, ...]:
        """The inputs that a flake's revision does not pin.  Raises as ``evaluate`` does."""

    async def look(
        self, evaluation: Evaluation, *, start: int = 0, only: Sequence[str] | None = None
    ) -> Looked:
        """Tell what attributes are, from the ``start``-th on; no derivation is made.

        The attributes are those at the top, or ``only`` these names.  Raises as ``evaluate``
        does if the evaluation ended before it reached an attribute.
        """

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        """Return the attribute names of one set, none if the name is not that of a set.

        Raises as ``evaluate`` does.
        """

    async def realise(
        self,
        packages: Sequence[Found],
        realisation: Realisation,
        *,
        hold: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        """Make the packages' output paths valid, and keep them so until the hold ends.

        Transient faults are retried.  Raises BuildFailed, BuildTimedOut, PolicyRefused,
        DerivationsGone, DownloadFailed, StoreUnavailable.
        """

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """The closure of valid paths.  Raises StoreUnavailable."""

    def hold(self) -> AbstractAsyncContextManager[TemporaryRoots]:
        """A place for roots that keep paths from the garbage collector."""

"""Evaluate names into packages, each once per revision, system and policy."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from app.builder.evaluation.corrections import PackagesChanged
from app.builder.evaluation.isolation import evaluate_apart
from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.evaluation.selection import (
    allowed_by,
    found_packages,
    needed_by,
    present_packages,
)
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.door import (
    DerivationsMissing,
    Evaluation,
    NixEvaluator,
    NixRealiser,
    RealiseOptions,
)
from app.builder.nix.preview import StorePreview
from app.builder.nix.results import (
    EvaluationResult,
    Found,
    MetaPackage,
)
from app.builder.nix.roots import TemporaryRoots
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.builder.sources.upstream import SourceMoved
from app.errors import BuildFailed
from app.system.cache import Cache

T = TypeVar("T")

# Attempts, because a garbage collector may delete derivations before they are realised.
_EVALUATIONS = 4
# The number of revisions that are known to have packages that no cache has.
_BUILT = 1000


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source's package set, pinned to a revision and a Nix system."""

    source: Source
    revision: Revision
    system: str


class PackageEvaluator:
    """Evaluations wait in ``queue``; cached results do not.

    ``is_listed`` returns whether a name is among those of a revision; False if they are unknown.
    ``is_ruled_out`` returns whether nothing has a name; False if that is unknown.
    """

    def __init__(
        self,
        *,
        nix: NixEvaluator,
        realiser: NixRealiser,
        results: EvaluationResultCache,
        queue: WorkQueue,
        is_listed: Callable[[Pinned, str], bool],
        is_ruled_out: Callable[[Pinned, str], bool],
    ) -> None:
        self._nix = nix
        self._realiser = realiser
        self._queue = queue
        self._results = results
        self._is_listed = is_listed
        self._is_ruled_out = is_ruled_out
        self._built: Cache[tuple[str, str, str], bool] = Cache(_BUILT)

    async def available(
        self,
        pinned: Pinned,
        requested: Sequence[str],
        supplied: Sequence[str],
        progress: Progress,
    ) -> dict[str, Found]:
        """Return the packages of all names, in one evaluation; ``supplied`` ones may be absent.

        Meta packages of the set are replaced by their packages, and the packages that services need
        are added; a second evaluation has these.  A name that is known not to be a package fails at
        once, without evaluating the others.
        Raises PackagesUnknown, NotADerivation, ImageUnknown (ambiguous), PolicyRefused,
        EvaluationFailed, SourceUnavailable, TooManyRequests.
        """
        results = await self._results_of(pinned, requested, supplied, progress)
        meta = {name: r for name, r in results.items() if isinstance(r, MetaPackage)}
        found = {
            **found_packages(pinned.source, {n: results[n] for n in requested if n not in meta}),
            **present_packages(pinned.source, {name: results[name] for name in supplied}),
        }
        meant = {package for result in meta.values() for package in result.packages}
        meant |= {
            needed for name in requested if name in found for needed in needed_by(found[name])
        }
        more = sorted(meant - found.keys())
        if not more:
            return found
        results = await self._results_of(pinned, (), more, progress)
        return {**found, **found_packages(pinned.source, {name: results[name] for name in more})}

    async def _results_of(
        self,
        pinned: Pinned,
        requested: Sequence[str],
        supplied: Sequence[str],
        progress: Progress,
    ) -> dict[str, EvaluationResult]:
        names = (*requested, *supplied)

        def check(known: dict[str, EvaluationResult]) -> None:
            checked = {name: known[name] for name in requested if name in known}
            found_packages(
                pinned.source,
                {n: r for n, r in checked.items() if not isinstance(r, MetaPackage)},
            )

        found = await self._results.results(
            subject(pinned),
            names,
            partial(self._evaluate, pinned, progress),
            check,
            # The supplied names are few, and every image needs their results.
            is_listed=lambda name: name in supplied or self._is_listed(pinned, name),
            is_ruled_out=lambda name: name in requested and self._is_ruled_out(pinned, name),
        )
        return dict(zip(names, found, strict=True))

    async def cached(self, pinned: Pinned, supplied: Sequence[str]) -> frozenset[str] | None:
        """Return which of the names the source has; None if Nix would have to evaluate them."""
        results = await self._results.cached(subject(pinned), supplied)
        found = {n: result for n, result in zip(supplied, results, strict=True) if result}
        if len(found) < len(supplied):
            return None
        return frozenset(present_packages(pinned.source, found))

    async def unpinned(self, pinned: Pinned, progress: Progress) -> tuple[str, ...]:
        """Return the inputs that a flake does not pin.  Raises the errors of ``available``."""
        if pinned.source.definition.kind != "flake":
            return ()
        async with self._queue.slot(progress), opened(pinned) as evaluation:
            return await self._nix.unpinned(evaluation)

    async def realise(
        self,
        pinned: Pinned,
        packages: Mapping[str, Found],
        *,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        """Make the packages' paths valid until the roots are released.

        ``packages`` are by the names that were evaluated.  Raises PackagesChanged, BuildFailed,
        BuildTimedOut, PolicyRefused, SourceUnavailable, DownloadFailed, StoreUnavailable.
        """
        realise = partial(self._realiser.realise, roots=roots, on_line=on_line)
        await self._with_derivations(pinned, packages, realise)

    async def preview(self, pinned: Pinned, packages: Mapping[str, Found]) -> StorePreview:
        """Return what ``realise`` would do.

        Raises PackagesChanged, BuildFailed, DownloadFailed, StoreUnavailable.
        """
        return await self._with_derivations(pinned, packages, self._realiser.preview)

    async def _with_derivations(
        self,
        pinned: Pinned,
        packages: Mapping[str, Found],
        work: Callable[[Sequence[Found], RealiseOptions], Awaitable[T]],
    ) -> T:
        options = _options(pinned)
        missing: DerivationsMissing | None = None
        for _ in range(_EVALUATIONS):
            if missing is not None:
                await self._write_derivations(pinned, packages)
            try:
                return await work(tuple(packages.values()), options)
            except DerivationsMissing as error:
                missing = error
                self._built[_key(pinned)] = True
        raise BuildFailed(f"{missing} does not exist, although its package refers to it")

    async def _write_derivations(self, pinned: Pinned, packages: Mapping[str, Found]) -> None:
        """Evaluate the packages again: that was read-only, or a garbage collection followed it.

        Raises PackagesChanged if one is another package now; its cached result is replaced.
        """
        async with opened(pinned) as evaluation:
            results = await evaluate_apart(self._nix, evaluation, tuple(packages))
        changed = {
            name: result
            for (name, package), result in zip(packages.items(), results, strict=True)
            if not _is_same(package, result)
        }
        if changed:
            is_listed = partial(self._is_listed, pinned)
            await self._results.correct(subject(pinned), changed, is_listed=is_listed)
            raise PackagesChanged(tuple(changed))

    async def _evaluate(
        self, pinned: Pinned, progress: Progress, names: Sequence[str]
    ) -> tuple[EvaluationResult, ...]:
        async with self._queue.slot(progress), opened(pinned) as evaluation:
            read_only = replace(evaluation, read_only=self._may_read(pinned))
            return await evaluate_apart(self._nix, read_only, names)

    def _may_read(self, pinned: Pinned) -> bool:
        """Return whether the packages are probably cached, so that no derivation is needed."""
        if self._built.get(_key(pinned)):
            return False
        return not self._realiser.needs_derivations(_options(pinned))


def _options(pinned: Pinned) -> RealiseOptions:
    definition = pinned.source.definition
    return RealiseOptions(
        source=definition.name,
        seconds=definition.build_seconds,
        build=definition.build,
        substituters=definition.substituters,
        sandboxed=definition.needs_sandbox,
        trusted=definition.trusted,
    )


def _is_same(package: Found, result: EvaluationResult) -> bool:
    return isinstance(result, Found) and (result.derivation, result.output, result.path) == (
        package.derivation,
        package.output,
        package.path,
    )


def _key(pinned: Pinned) -> tuple[str, str, str]:
    return pinned.source.name, pinned.revision.pin, pinned.system


@asynccontextmanager
async def opened(pinned: Pinned) -> AsyncIterator[Evaluation]:
    """Provide the files of a source for an evaluation.  Raises SourceUnavailable."""
    source, definition = pinned.source, pinned.source.definition
    try:
        async with source.checkout(pinned.revision) as package_set:
            revision = f"{pinned.revision.pin} {source.generation}"
            yield Evaluation(
                source=source.name,
                package_set=package_set,
                system=pinned.system,
                allowed=allowed_by(source),
                restricted=not definition.trusted,
                seconds=definition.evaluation_seconds,
                memory=definition.evaluation_bytes,
                revision=revision,
            )
    except SourceMoved:
        source.invalidate()
        raise
    except BaseException:
        source.start_generation()
        raise


def subject(pinned: Pinned) -> dict[str, object]:
    """Return everything that decides the evaluation of a name, for keys of records."""
    definition = pinned.source.definition
    return {
        "contents": definition.contents,
        "revision": pinned.revision.identity,
        "search_path": pinned.source.search_path.subject(pinned.revision),
        "system": pinned.system,
        "policy": definition.policy.model_dump(mode="json"),
        "trusted": definition.trusted,
    }

"""The door to Nix, implemented with Nix's own programs.

Nix 2.8 or later is needed: as root without a daemon, or as any user with one.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from loguru import logger

from app.builder.nix.closure import STORE, Closure, StorePath
from app.builder.nix.door import (
    AttributeScan,
    DerivationsMissing,
    Evaluation,
    RealiseOptions,
)
from app.builder.nix.preview import CachedPath, StorePreview
from app.builder.nix.programs import path_info
from app.builder.nix.programs.attributes import AttributeReader
from app.builder.nix.programs.cache_configuration import CacheConfiguration, cache_configuration
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.dry_run import DryRun, dry_run
from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.expressions import Expressions
from app.builder.nix.programs.flakes import Flakes
from app.builder.nix.programs.installation import check_store, sandboxed, version
from app.builder.nix.programs.keeping import keep, valid_paths
from app.builder.nix.programs.programs import BOUNDS, Bounds, Programs
from app.builder.nix.programs.realising import Realiser, Wanted, absent, targets
from app.builder.nix.programs.repl_pool import ReplPool
from app.builder.nix.programs.request import FEATURES
from app.builder.nix.programs.store_size import StoreSize
from app.builder.nix.results import EvaluationResult, Found
from app.builder.nix.roots import TemporaryRoots, TemporaryRootsDirectory
from app.errors import (
    BuildFailed,
    DownloadFailed,
    RegistryError,
    StoreUnavailable,
)
from app.system.disk_space import DiskSpace
from app.system.retrying import retry
from app.system.workers import Workers

_TRANSIENT = (DownloadFailed, StoreUnavailable)


class NixCommand:
    """Nix's programs, and the evaluators that are kept.

    ``expressions`` is the directory with evaluate.nix.  ``options`` are settings of Nix for every
    call.
    """

    def __init__(
        self,
        *,
        configuration: NixConfiguration,
        expressions: Path,
        roots: TemporaryRootsDirectory,
        workers: Workers,
        options: Mapping[str, str],
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._programs = Programs(configuration=configuration, store_seconds=bounds.store_seconds)
        self.starts = self._programs.starts
        self._configuration = configuration
        self._bounds = bounds
        self._roots = roots
        self._workers = workers
        self._options = tuple(
            argument for name, value in options.items() for argument in ("--option", name, value)
        )
        self.evaluators = ReplPool(
            expressions=expressions,
            settings=self._options,
            configuration=configuration,
            starts=self.starts,
            workers=workers,
        )
        processes = ExpressionProcesses(
            programs=self._programs,
            directory=expressions,
            configuration=configuration,
            settings=self._options,
        )
        self._flakes = Flakes(processes=processes, workers=workers)
        self._expressions = Expressions(
            processes=processes, evaluators=self.evaluators, workers=workers
        )
        self._attributes = AttributeReader(
            evaluators=self.evaluators, start=processes.start, workers=workers
        )
        self._realiser = Realiser(
            programs=self._programs,
            configuration=configuration,
            workers=workers,
            options=self._options,
            space=DiskSpace(directory=Path(STORE), least=bounds.store_free, workers=workers),
            size=StoreSize(
                programs=self._programs,
                workers=workers,
                options=self._options,
                most=bounds.store_size,
            ),
        )

    async def version(self) -> str:
        """Return what Nix prints; raises Unavailable without Nix, or if it is too old."""
        return await version(self._programs)

    async def check_store(self) -> None:
        """Raise StoreUnavailable if Nix cannot open its store, Unavailable without Nix."""
        await check_store(self._programs, self._options)

    async def sandboxed(self) -> bool:
        """Return whether every build runs in the sandbox; raises Unavailable."""
        return await sandboxed(self._programs, await self._configuration.builders())

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        evaluation = await self._flakes.prepared(evaluation)
        return await self._expressions.evaluate(evaluation, names, explain=explain)

    async def unpinned(self, evaluation: Evaluation) -> tuple[str, ...]:
        return await self._flakes.unpinned(evaluation)

    async def scan(
        self, evaluation: Evaluation, *, start: int = 0, only: Sequence[str] | None = None
    ) -> AttributeScan:
        evaluation = await self._flakes.prepared(evaluation)
        return await self._attributes.scan(evaluation, start=start, only=only)

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        evaluation = await self._flakes.prepared(evaluation)
        return await self._attributes.names_within(evaluation, name)

    async def realise(
        self,
        packages: Sequence[Found],
        options: RealiseOptions,
        *,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        wanted = _wanted(packages)
        end = time.monotonic() + options.seconds

        async def attempt() -> None:
            await self._require(wanted, options)
            if not options.build:
                await self._realiser.check_claims(wanted)
            try:
                await self._realiser.attempt(wanted, options, end=end, roots=roots, on_line=on_line)
            except RegistryError:
                await self._require(wanted, options)
                raise
            await self._check(wanted, roots)

        def on_retry(error: Exception, pause: float) -> None:
            on_line(f"{error}; another attempt follows in {pause:g} s")
            logger.bind(source=options.source).warning("{}; trying again", error)

        await retry(attempt, retries=self._bounds.retries, transient=_TRANSIENT, on_retry=on_retry)

    async def preview(self, packages: Sequence[Found], options: RealiseOptions) -> StorePreview:
        wanted = _wanted(packages)
        await self.check_outputs(packages)
        local = await self.valid_paths({package.path for package in packages})
        lacking = [one for one in wanted if StorePath.parse(one.path) not in local]
        planned = DryRun()
        if lacking:
            await self._require(lacking, options)
            planned = await dry_run(
                self._programs,
                self._configuration,
                [*targets(lacking, options), *self._options],
                options,
                seconds=self._bounds.store_seconds,
            )
        closure = await self.closure(sorted(local))
        return StorePreview(
            objects=dict(closure.objects),
            local=frozenset(closure.paths),
            cached={path: CachedPath("a binary cache") for path in planned.downloads},
            builds=planned.builds,
            unavailable=planned.unknown,
            unknown=frozenset(StorePath.parse(one.path) for one in lacking),
        )

    def needs_derivations(self, options: RealiseOptions) -> bool:
        return options.build

    async def valid_paths(self, paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """Return the paths that are valid now.  Raises StoreUnavailable."""
        return await valid_paths(self._programs, self._options, paths)

    async def check_outputs(self, packages: Sequence[Found]) -> None:
        """Raise BuildFailed if a path is not an output of its derivation.

        Without a derivation file the evaluation has checked the path.
        """
        await self._realiser.check_claims(_wanted(packages))

    async def require_derivations(self, packages: Sequence[Found], options: RealiseOptions) -> None:
        """Raise DerivationsMissing if ``realise`` would."""
        await self._require(_wanted(packages), options)

    async def keep(self, paths: Sequence[StorePath], roots: TemporaryRoots) -> frozenset[StorePath]:
        """Return the paths that are valid, which the roots keep.  Raises StoreUnavailable."""
        return await keep(self._programs, self._options, paths, roots)

    async def cache_configuration(self) -> CacheConfiguration:
        """Return Nix's own settings of binary caches.  Raises StoreUnavailable, Unavailable."""
        certificates = self._configuration.certificates
        return await cache_configuration(self._programs, self._options, certificates=certificates)

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """Return the closure of valid paths, for ``LocalStore``.  Raises StoreUnavailable."""
        if not paths:
            return Closure(())
        names = [str(path) for path in sorted(set(paths))]
        command = ["nix", "path-info", "--json", "--recursive", *names, *FEATURES, *self._options]

        async def query() -> Closure:
            finished = await self._programs.query("closure", command)
            if finished.code != 0:
                why = evaluation_error(finished.stderr) or exit_reason(finished)
                raise StoreUnavailable(f"Nix cannot list a closure: {why}")
            try:
                return await self._workers.run(path_info.parse, finished.stdout)
            except ValueError as error:
                raise StoreUnavailable(f"Nix cannot list a closure: {error}") from None

        def on_retry(error: Exception, _: float) -> None:
            logger.warning("{}; trying again", error)

        return await retry(
            query, retries=self._bounds.retries, transient=_TRANSIENT, on_retry=on_retry
        )

    def temporary_roots(self) -> AbstractAsyncContextManager[TemporaryRoots]:
        return self._roots.open()

    async def close(self) -> None:
        await self.evaluators.close()
        await self._configuration.close()

    async def _require(self, wanted: Sequence[Wanted], options: RealiseOptions) -> None:
        """Raise DerivationsMissing if Nix gets derivations, and one is not there."""
        if not options.build:
            return
        missing = await self._workers.run(absent, [one.derivation for one in wanted])
        if missing:
            # A process does not write again a derivation that it wrote before.
            await self.evaluators.invalidate()
            raise DerivationsMissing(missing[0])

    async def _check(self, wanted: Sequence[Wanted], roots: TemporaryRoots) -> None:
        """Raise BuildFailed if the derivation did not make the path that its package claims."""
        made = {str(path) for path in await self._workers.run(roots.paths)}
        for one in wanted:
            if one.path not in made:
                raise BuildFailed(f"{one.derivation} has no output {one.output} at {one.path}")


def _wanted(packages: Sequence[Found]) -> list[Wanted]:
    return sorted({Wanted(str(p.derivation), p.output, str(p.path)) for p in packages})

"""``Nix`` without Nix: package sets as values, and a store in a temporary directory.

``tests/contract/nix_contract.py`` holds it to what the real programs do.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.door import (
    Attribute,
    AttributeScan,
    DerivationsMissing,
    Evaluation,
    EvaluationStopped,
    InputUnreachable,
    OneOfManyFailed,
    RealiseOptions,
)
from app.builder.nix.preview import CachedPath, StorePreview
from app.builder.nix.results import EvaluationResult, Found
from app.builder.nix.roots import TemporaryRoots
from app.errors import BuildFailed, BuildTimedOut, EvaluationFailed, NotCached, StoreUnavailable
from tests.fakes import package_set
from tests.fakes.nix_evaluation import SetEvaluation
from tests.fakes.nix_store import CACHE, Derivation, FakeStore


class FakeNix:
    """Every source has ``packages``, except for those that ``sources`` names.

    ``set_error`` is the error with which every package set fails; ``unpinned_inputs`` are those
    of each flake.  ``requested`` has the names of each evaluation.  Trees of valid store paths
    are below ``store_directory``.
    """

    def __init__(
        self,
        directory: Path,
        packages: Mapping[str, package_set.Attribute],
        *,
        sources: Mapping[str, Mapping[str, package_set.Attribute]] | None = None,
        set_error: str = "",
    ) -> None:
        self.starts: Counter[str] = Counter()
        self.store = FakeStore(directory)
        self.store_directory = self.store.directory
        self.packages = packages
        self.sources = sources or {}
        self.set_error = set_error
        self.unpinned_inputs: tuple[str, ...] = ()
        self.requested: list[tuple[str, ...]] = []
        self._faults: dict[str, deque[Exception]] = {}

    def fail_next(self, method: str, *errors: Exception) -> None:
        """Let the next calls of a method raise these errors, one each."""
        self._faults.setdefault(method, deque()).extend(errors)

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        """See ``Nix.evaluate``."""
        self.requested.append(tuple(names))
        try:
            opened = await self._open("evaluate", evaluation)
            return tuple([await opened.result(name, explain=explain) for name in names])
        except EvaluationStopped:
            raise
        except (EvaluationFailed, InputUnreachable):
            if _is_kept(evaluation) and not explain and len(names) > 1:
                raise OneOfManyFailed("one of several names does not evaluate") from None
            raise

    async def unpinned(self, evaluation: Evaluation) -> tuple[str, ...]:
        """See ``Nix.unpinned``."""
        return () if evaluation.package_set.flake is None else self.unpinned_inputs

    async def scan(
        self, evaluation: Evaluation, *, start: int = 0, only: Sequence[str] | None = None
    ) -> AttributeScan:
        """See ``Nix.scan``."""
        opened = await self._open("scan", evaluation)
        every = tuple(sorted(opened.attributes))
        listed = every if only is None and start == 0 else ()
        continues = only is not None and start == 0 and _is_kept(evaluation)
        looked: list[Attribute] = []
        for number, name in enumerate(every if only is None else only):
            if number < start:
                continue
            try:
                kind = await opened.kind(name)
            except EvaluationFailed as error:
                if not continues:
                    return AttributeScan(listed, tuple(looked), number, error)
                kind = "other"
            is_listed = kind == "packages" and not continues
            looked.append(Attribute(number, kind, opened.inner(name) if is_listed else ()))
        return AttributeScan(listed, tuple(looked))

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        """See ``Nix.names_within``."""
        return (await self._open("names_within", evaluation)).inner(name)

    def needs_derivations(self, options: RealiseOptions) -> bool:
        """See ``Nix.needs_derivations``."""
        return options.build

    async def realise(
        self,
        packages: Sequence[Found],
        options: RealiseOptions,
        *,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        """See ``Nix.realise``."""
        await self._begin("realise")
        derivations = [self._derivation(package, options) for package in packages]
        if options.build:
            await self._build_all(derivations, options, on_line)
        for package, derivation in zip(packages, derivations, strict=True):
            if derivation.outputs.get(package.output) != package.path:
                raise BuildFailed(
                    f"{package.derivation} has no output {package.output} at {package.path}"
                )
        if not options.build:
            self._substitute_all(packages, derivations, options, on_line)
        for package in packages:
            roots.next_root().symlink_to(str(package.path))

    async def preview(self, packages: Sequence[Found], options: RealiseOptions) -> StorePreview:
        """See ``Nix.preview``."""
        await self._begin("preview")
        local, cached, builds, unavailable = set(), {}, set(), set()
        for package in packages:
            derivation = self._derivation(package, options)
            if derivation.outputs.get(package.output) != package.path:
                raise BuildFailed(
                    f"{package.derivation} has no output {package.output} at {package.path}"
                )
            if self.store.is_valid(package.path):
                local.add(package.path)
            elif derivation.package.is_cached and options.substituters != ():
                cached[package.path] = CachedPath(CACHE)
            elif options.build:
                builds |= self.store.to_build(derivation)
            else:
                unavailable.add(package.path)
        closure = self.store.closure(local)
        return StorePreview(
            objects=dict(closure.objects),
            local=frozenset(closure.paths),
            cached=cached,
            builds=frozenset(builds),
            unavailable=frozenset(unavailable),
            unknown=frozenset({package.path for package in packages} - local),
        )

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """Return the closure of valid paths, for a store of this Nix.  Raises StoreUnavailable."""
        await self._begin("closure")
        try:
            return self.store.closure(paths)
        except KeyError as error:
            raise StoreUnavailable(f"Nix does not know a closure: {error} is not valid") from None

    @asynccontextmanager
    async def temporary_roots(self) -> AsyncIterator[TemporaryRoots]:
        """See ``Nix.temporary_roots``."""
        with self.store.temporary_roots() as roots:
            yield roots

    async def _open(self, method: str, evaluation: Evaluation) -> SetEvaluation:
        await self._begin(method)
        if self.set_error:
            raise EvaluationFailed(self.set_error)
        attributes = self.sources.get(evaluation.source, self.packages)
        served = package_set.on_system(attributes, evaluation.system)
        return SetEvaluation(served, evaluation, self.store)

    async def _begin(self, method: str) -> None:
        self.starts[method] += 1
        await asyncio.sleep(0)
        if faults := self._faults.get(method):
            raise faults.popleft()

    def _derivation(self, package: Found, options: RealiseOptions) -> Derivation:
        if options.build and not self.store.is_written(package.derivation):
            raise DerivationsMissing(str(package.derivation))
        return self.store.derivation(package.derivation)

    def _substitute_all(
        self,
        packages: Sequence[Found],
        derivations: Sequence[Derivation],
        options: RealiseOptions,
        on_line: Callable[[str], None],
    ) -> None:
        absent = []
        for package, derivation in zip(packages, derivations, strict=True):
            if not self.store.is_valid(package.path):
                if derivation.package.is_cached:
                    self.store.substitute(derivation, on_line)
                else:
                    absent.append(package.path)
        if absent:
            raise NotCached(
                f"source {options.source} only serves what a binary cache has"
                f" (build = false); not there: {', '.join(path.name for path in absent)}",
                {"paths": [str(path) for path in absent]},
            )

    async def _build_all(
        self,
        derivations: Sequence[Derivation],
        options: RealiseOptions,
        on_line: Callable[[str], None],
    ) -> None:
        building: list[str] = []
        try:
            async with asyncio.timeout(options.seconds):
                for derivation in derivations:
                    await self._build(derivation, building, on_line)
        except TimeoutError:
            raise BuildTimedOut(
                f"build stopped after {options.seconds:g} s (build_seconds of source"
                f" {options.source}) while building {building[-1]}",
                {"derivations": building[-1:], "seconds": options.seconds},
            ) from None

    async def _build(
        self, derivation: Derivation, building: list[str], on_line: Callable[[str], None]
    ) -> None:
        if all(map(self.store.is_valid, derivation.outputs.values())):
            return
        package = derivation.package
        if package.is_cached:
            self.store.substitute(derivation, on_line)
            return
        for needed in derivation.inputs.values():
            await self._build(needed, building, on_line)
        if package.system is not None:
            raise BuildFailed(
                f"{derivation.path} can only be built on {package.system}, and this is another",
                derivation=str(derivation.path),
            )
        building.append(str(derivation.path))
        on_line(f"building {derivation.path}")
        for line in package.log:
            on_line(f"{package.name}> {line}")
        await asyncio.sleep(package.build_seconds)
        if package.fails:
            log = f": {' | '.join(package.log)}" if package.log else ""
            raise BuildFailed(
                f"{derivation.path} failed with exit code 3{log}",
                derivation=str(derivation.path),
                log=package.log,
            )
        self.store.write(derivation)


def _is_kept(evaluation: Evaluation) -> bool:
    """Return whether the real programs evaluate in a process that stays."""
    return evaluation.revision is not None and not evaluation.restricted

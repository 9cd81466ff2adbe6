"""Find out which source each package of an image comes from.

Certificates and service names are in every image, and most package sets of a company or a person
have neither.  Such packages come from the source's base.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.builder.evaluation.evaluator import PackageEvaluator, Pinned, subject
from app.builder.jobs.progress import Progress
from app.builder.nix.results import Found
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.errors import EvaluationFailed, ImageUnknown, SourceUnavailable, TagUnknown
from app.reference import LATEST_TAG
from app.request import ALWAYS, META, ImageRequest
from app.system.cache import Cache

_LIMIT = 10_000  # requests whose supply is cached, of some 200 bytes each
_PURPOSES = {"cacert": "CA certificates (cacert)", "iana-etc": "names of services (iana-etc)"}


@dataclass(frozen=True, slots=True)
class Supply:
    """Which source each package of a request comes from.

    ``lacking`` are names that the source does not have; ``base`` supplies them.  ``own`` are the
    packages of the source itself, if they had to be evaluated for this.
    """

    lacking: tuple[str, ...]
    base: Pinned | None
    own: Mapping[str, Found] | None

    @property
    def subject(self) -> dict[str, object] | None:
        """The parts of the build key that come from other sources."""
        if not self.lacking:
            return None
        base = self.base and {"source": self.base.source.name, "subject": subject(self.base)}
        return {"lacking": self.lacking, "base": base}

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.base.revision.warnings if self.base else ()


# For a source that has everything.
NO_SUPPLY = Supply((), None, None)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """An image's packages by the names they are requested by, in the order of the request.

    ``borrowed`` are those that come from ``base``; ``unpinned`` are inputs of a flake.
    """

    request: ImageRequest
    pinned: Pinned
    packages: Mapping[str, Found]
    base: Pinned | None
    borrowed: frozenset[str]
    unpinned: tuple[str, ...]

    def by_source(self) -> Iterator[tuple[Pinned, dict[str, Found]]]:
        """Return the packages of each source, those of the base first."""
        of_base = {name: p for name, p in self.packages.items() if name in self.borrowed}
        own = {name: p for name, p in self.packages.items() if name not in self.borrowed}
        if self.base is not None and of_base:
            yield self.base, of_base
        if own:
            yield self.pinned, own

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._of_missing(), *self._of_unpinned())

    def _of_unpinned(self) -> tuple[str, ...]:
        if not self.unpinned:
            return ()
        source, inputs = self.pinned.source.name, ", ".join(self.unpinned)
        return (f"flake.lock of source {source} does not pin {inputs}: a later pull may differ",)

    def _of_missing(self) -> tuple[str, ...]:
        missing = [purpose for name, purpose in _PURPOSES.items() if name not in self.packages]
        if not missing:
            return ()
        source, base = self.pinned.source.name, self.base
        where = f"source {source} has none" + (
            f" and neither has its base {base.source.name}" if base else " and has no base"
        )
        return (f"the image has no {' and no '.join(missing)}: {where}",)


class Supplier:
    """Find the names that a source lacks, and the source that supplies them.

    ``sources`` are all of the server's, by name; ``default`` is the base of most others.
    """

    def __init__(
        self,
        *,
        evaluator: PackageEvaluator,
        sources: Mapping[str, Source],
        default: Source,
    ) -> None:
        self._evaluator = evaluator
        self._sources = sources
        self._default = default
        self._lacking: Cache[str, tuple[str, ...]] = Cache(_LIMIT)

    def cached(self, key: str, source: Source, system: str) -> Supply | None:
        """Return the result of ``supply`` for this key; None if it would have to wait.

        What a source lacks at a revision does not change, but its base may have moved.
        """
        lacking = self._lacking.get(key)
        if lacking is None:
            return None
        base = self._base_of(source, lacking)
        if base is None:
            return Supply(lacking, None, None)
        revision = base.cached(LATEST_TAG)
        if not isinstance(revision, Revision):
            return None
        return Supply(lacking, Pinned(base, revision, system), None)

    async def supply(
        self, key: str, request: ImageRequest, pinned: Pinned, progress: Progress
    ) -> Supply:
        """Find out what the source lacks.

        ``key`` is that of the request and of everything that decides evaluations of the source.
        Raises the errors of PackageEvaluator and Source.resolve.
        """
        base = self.base(pinned.source)
        chosen = pinned.source.definition.base is not None and base is not pinned.source
        from_base = [name for name in request.supplied if chosen and name in ALWAYS]
        optional = [name for name in request.supplied if name not in from_base]
        own: Mapping[str, Found] | None = None
        present = await self._evaluator.cached(pinned, optional)
        if present is None:
            own = await self._evaluator.available(pinned, sorted(request.named), optional, progress)
            present = frozenset(own)
        lacking = tuple(n for n in request.supplied if n in from_base or n not in present)
        self._lacking[key] = lacking
        base = self._base_of(pinned.source, lacking)
        return Supply(lacking, await _pin_base(base, pinned) if base else None, own)

    async def ingredients(
        self, request: ImageRequest, pinned: Pinned, supply: Supply, progress: Progress
    ) -> Ingredients:
        """Evaluate the packages.  Raises the errors of PackageEvaluator, ImageUnknown."""
        found = supply.own
        borrowed: Mapping[str, Found] = {}
        if found is None:
            own = [name for name in request.supplied if name not in supply.lacking]
            found = await self._evaluator.available(pinned, sorted(request.named), own, progress)
        if supply.base is not None:
            borrowed = await self._borrow(supply.base, pinned, supply.lacking, progress)
        packages = {**found, **borrowed}
        _check_meta(request, pinned, supply, packages)
        unpinned = await self._evaluator.unpinned(pinned, progress)
        return Ingredients(
            request=request,
            pinned=pinned,
            packages={name: packages[name] for name in _ordered(request, packages)},
            base=supply.base,
            borrowed=frozenset(borrowed),
            unpinned=unpinned,
        )

    async def _borrow(
        self, base: Pinned, pinned: Pinned, names: tuple[str, ...], progress: Progress
    ) -> Mapping[str, Found]:
        try:
            return await self._evaluator.available(base, (), names, progress)
        except (EvaluationFailed, SourceUnavailable) as error:
            raise type(error)(_of_base(base.source, pinned, error.message)) from None

    def _base_of(self, source: Source, lacking: Sequence[str]) -> Source | None:
        """Return the source that the lacking names come from."""
        base = self.base(source)
        return base if lacking and base is not source else None

    def base(self, source: Source) -> Source | None:
        """Return the source that supplies what this source lacks; None without one."""
        name = source.definition.base
        if name is None:
            return self._default
        return self._sources[name] if name else None


async def _pin_base(base: Source, pinned: Pinned) -> Pinned:
    try:
        return Pinned(base, await base.resolve(LATEST_TAG), pinned.system)
    except (SourceUnavailable, TagUnknown) as error:
        raise SourceUnavailable(_of_base(base, pinned, error.message)) from None


def _of_base(base: Source, pinned: Pinned, message: str) -> str:
    return f"{message} ({base.name} is the base of source {pinned.source.name})"


def _check_meta(
    request: ImageRequest, pinned: Pinned, supply: Supply, packages: Mapping[str, Found]
) -> None:
    missing = [n for n in request.supplied if n not in packages and n not in ALWAYS]
    if missing:
        base = f", nor has its base {supply.base.source.name}" if supply.base else ""
        meta = sorted(name for name in request.meta if not set(missing).isdisjoint(META[name]))
        raise ImageUnknown(
            f"source {pinned.source.name} has no {' and no '.join(meta)}{base}:"
            f" {', '.join(missing)}",
            {"package": meta[0], "missing": missing},
        )


def _ordered(request: ImageRequest, packages: Mapping[str, Found]) -> tuple[str, ...]:
    """Return the names of the packages: those of the request, then those that they stand for."""
    first = tuple(name for name in request.packages if name in packages)
    return (*first, *sorted(packages.keys() - set(first)))

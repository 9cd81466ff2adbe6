"""Find or build the images of names, for the routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from heapq import merge
from itertools import groupby, islice
from typing import Any

from app.builder.builds.build import Recipe
from app.builder.builds.catalogue import LIMIT, Catalogue
from app.builder.builds.contents_record import ImagePackages
from app.builder.builds.finished import FinishedImage, FinishedImages
from app.builder.builds.index_recipe import IndexRecipe
from app.builder.builds.indexes import IndexBuilder
from app.builder.builds.preview import ImagePreview, ImagePreviewer
from app.builder.builds.recent import RecentImages
from app.builder.builds.step_keys import supply_key, tag_key
from app.builder.evaluation.evaluator import Pinned
from app.builder.images.image import Built
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.phases import Phase
from app.builder.jobs.progress import Progress
from app.builder.jobs.steps import Steps
from app.builder.names.attributes import AttributeIndex
from app.builder.sources.choice import SourceChoice
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.errors import (
    NameUnknown,
    NotADerivation,
    PackagesUnknown,
    RegistryError,
    TagUnknown,
)
from app.failure import Failure
from app.oci import Digest
from app.reference import LATEST_TAG, ImageReference, RepositoryName, Tag
from app.request import ImageRequest


class _Noted(Enum):
    """Keys of functions of a job's success: a key has one, and requests of a name share jobs."""

    LISTED = auto()
    KEPT = auto()
    RECENT = auto()


class ImageService:
    """The entry of the routes to images: finds, builds, previews and lists them.

    ``system`` is the server's own Nix system.  A name without an architecture has an index, if
    ``builder`` makes indexes; else its image is for ``system``.
    """

    def __init__(
        self,
        *,
        jobs: Jobs[Built],
        previewer: ImagePreviewer,
        builder: IndexBuilder,
        attributes: AttributeIndex,
        catalogue: Catalogue,
        finished: FinishedImages,
        sources: SourceChoice,
        system: str,
    ) -> None:
        self._jobs = jobs
        self._previewer = previewer
        self._builder = builder
        self._attributes = attributes
        self._catalogue = catalogue
        self._finished = finished
        self._sources = sources
        self._system = system

    def pull(
        self, reference: ImageReference, client: str, architecture: str = ""
    ) -> FinishedImage | Steps[Built]:
        """Return the jobs that resolve the tag, find out what the source lacks, and build.

        Steps whose result is cached are left out.  ``architecture`` is that of the client, if it
        is known: an index begins with it.  Never waits.  Raises Draining and NameInvalid.
        """
        if finished := self._finished.find(reference):
            self._jobs.counts.remembered += 1
            return finished
        request = replace(self._request(reference.name), first=architecture)
        tag = reference.reference
        assert isinstance(tag, Tag)
        source = self._source(request)
        known = source.cached(tag)
        title = f"{reference.name}:{tag}"
        if isinstance(known, Revision):
            pinned = Pinned(source, known, request.system)
            started = self._start(request, pinned, title=title, client=client)
            return self._noted(Steps(started), reference, pinned)
        key = tag_key(request, source, tag)
        if known is None and _is_tag_unknown(self._jobs.failure(key)):
            # The cached failure of the source has expired, so the tag may exist now.
            self._jobs.invalidate(key)
        find = partial(self._resolve, reference, request, source)
        steps: Steps[Built] = Steps(self._jobs.join_step(key, find, title=title, client=client))
        # The step may have been started for another name of the same image.
        listed = partial(self._catalogue.add, reference)
        steps.when_succeeded((_Noted.LISTED, reference), listed)
        return steps

    async def built(self, reference: ImageReference) -> Built | None:
        """Return the image if it is stored, as far as caches lead to its record.

        Nothing is evaluated, built or requested.  Raises NameInvalid, StorageUnavailable.
        """
        if finished := self._finished.find(reference):
            return finished.image
        request = self._request(reference.name)
        source, tag = self._source(request), reference.reference
        assert isinstance(tag, Tag)
        revision = await source.cached_revision(tag)
        if revision is None:
            return None
        pinned = Pinned(source, revision, request.system)
        recipe = self._builder.cached_recipe(supply_key(request, pinned), request, pinned)
        return None if recipe is None else await self._builder.stored(recipe)

    def preview(self, reference: ImageReference, client: str) -> Job[ImagePreview]:
        """Return the job that finds out what a pull would take; nothing is built.

        Raises Draining and NameInvalid.
        """
        request = self._request(reference.name)
        source, tag = self._source(request), reference.reference
        assert isinstance(tag, Tag)

        async def find(progress: Progress) -> ImagePreview:
            pinned = Pinned(source, await source.resolve(tag), request.system)
            key = supply_key(request, pinned)
            async with self._explaining(pinned, progress, one_system=request.one_system):
                return await self._previewer.preview(key, request, pinned, progress)

        key = tag_key(request, source, tag)
        title = f"the plan of {reference.name}:{tag}"
        return self._previewer.jobs.join(key, find, title=title, client=client)

    @property
    def recent(self) -> RecentImages:
        return self._catalogue.recent

    async def packages(self, manifest: Digest) -> ImagePackages:
        """Return what is recorded of an image's packages.  Raises StorageUnavailable."""
        return await self._builder.packages(manifest)

    async def tags(
        self, name: RepositoryName, *, after: str = "", most: int = LIMIT
    ) -> tuple[str, ...]:
        """Return the cached tags of the source and the tags built under this name.

        They are sorted: at most ``most`` that sort after one.  Nothing is evaluated or requested.
        A name is unknown if a recent pull failed with that, or if the names of ``latest`` are in
        memory and lack it.  Raises NameUnknown.
        """
        request = self._request(name)
        built = await self._catalogue.tags(name, after=after, most=most)
        unknown = await self._unknown(request)
        if unknown is None:
            tags = groupby(merge(self._source(request).tags(after), built))
            return tuple(tag for tag, _ in islice(tags, most))
        if not built and not await self._catalogue.tags(name, most=1):
            raise NameUnknown(unknown.message, unknown.detail)
        return built

    async def repositories(self) -> tuple[str, ...]:
        return await self._catalogue.names()

    def _request(self, name: RepositoryName) -> ImageRequest:
        request = ImageRequest.parse(
            name, sources=self._sources.by_component.keys(), system=self._system
        )
        return request if self._builder.makes_indexes else replace(request, one_system=True)

    async def _unknown(self, request: ImageRequest) -> RegistryError | None:
        """Return why ``latest`` cannot have an image of this name, as far as that is known."""
        source = self._source(request)
        revision = await source.cached_revision(LATEST_TAG)
        if revision is None:
            return None
        pinned = Pinned(source, revision, request.system)
        failure = self._failure(request, pinned)
        if failure is not None and issubclass(failure.kind, PackagesUnknown | NotADerivation):
            return failure.exception()
        lacking = self._lacking(request, pinned)
        if not lacking:
            return None
        places = self._places(pinned, one_system=request.one_system)
        return await self._attributes.explained(places, PackagesUnknown(lacking))

    def _failure(self, request: ImageRequest, pinned: Pinned) -> Failure | None:
        """Return the remembered failure of the step that failed."""
        key = supply_key(request, pinned)
        recipe = self._builder.cached_recipe(key, request, pinned)
        built = self._jobs.failure(str(recipe.key)) if recipe else None
        return built or self._jobs.failure(key)

    def _lacking(self, request: ImageRequest, pinned: Pinned) -> tuple[str, ...]:
        """Return the packages that every listing in memory excludes, for all architectures."""
        places = self._places(pinned, one_system=request.one_system)
        lacking = [self._attributes.lacking(place, sorted(request.named)) for place in places]
        return lacking[0] if all(lacking) else ()

    def _source(self, request: ImageRequest) -> Source:
        return self._sources.choose(request.source)

    def _start(self, request: ImageRequest, pinned: Pinned, *, title: str, client: str) -> Job[Any]:
        """Start at the build if what the source lacks is known, or find that out first."""
        key = supply_key(request, pinned)
        recipe = self._builder.cached_recipe(key, request, pinned)
        if recipe is None:
            find = partial(self._supply, key, request, pinned)
            return self._jobs.join_step(key, find, title=title, client=client)
        build = partial(self._build, recipe)
        return self._jobs.join(str(recipe.key), build, title=title, client=client)

    async def _resolve(
        self, reference: ImageReference, request: ImageRequest, source: Source, job: Job[Any]
    ) -> Job[Any]:
        tag = reference.reference
        assert isinstance(tag, Tag)
        with job.progress.phases.running(Phase.RESOLVE):
            revision = await source.resolve(tag)
        pinned = Pinned(source, revision, request.system)
        key = supply_key(request, pinned)
        find = partial(self._supply, key, request, pinned)
        following = self._jobs.follow_step(key, find, after=job)
        self._noted(Steps(following), reference, pinned)
        return following

    async def _supply(
        self, key: str, request: ImageRequest, pinned: Pinned, job: Job[Any]
    ) -> Job[Any]:
        async with self._explaining(pinned, job.progress, one_system=request.one_system):
            with job.progress.phases.running(Phase.EVALUATE):
                recipe = await self._builder.recipe(key, request, pinned, job.progress)
        return self._jobs.follow(str(recipe.key), partial(self._build, recipe), after=job)

    def _noted(
        self, steps: Steps[Built], reference: ImageReference, pinned: Pinned
    ) -> Steps[Built]:
        """When the image is built, add it to the lists and keep it for the next pull."""

        def keep() -> None:
            image = steps.result()
            if image is not None:
                self._finished.keep(reference, pinned, image)

        def add() -> None:
            image = steps.result()
            if image is not None:
                self.recent.add(reference, image, steps.phases.seconds)

        listed = partial(self._catalogue.add, reference)
        steps.when_succeeded((_Noted.LISTED, reference), listed)
        steps.when_succeeded((_Noted.KEPT, reference), keep)
        steps.when_succeeded((_Noted.RECENT, reference), add)
        return steps

    async def _build(self, recipe: Recipe | IndexRecipe, progress: Progress) -> Built:
        one_system = isinstance(recipe, Recipe)
        async with self._explaining(recipe.pinned, progress, one_system=one_system):
            return await self._builder.build(recipe, progress)

    @asynccontextmanager
    async def _explaining(
        self, pinned: Pinned, progress: Progress, *, one_system: bool
    ) -> AsyncIterator[None]:
        """Add the packages that may have been meant to the error for unknown ones."""
        try:
            yield
        except PackagesUnknown as error:
            places = self._places(pinned, one_system=one_system)
            raise await self._attributes.explained(places, error, progress.clients) from None

    def _places(self, pinned: Pinned, *, one_system: bool) -> tuple[Pinned, ...]:
        """Return the revision on each system of a name, the server's own first."""
        others = () if one_system else self._builder.systems
        systems = dict.fromkeys((pinned.system, *others))
        return tuple(replace(pinned, system=system) for system in systems)


def _is_tag_unknown(failure: Failure | None) -> bool:
    return failure is not None and issubclass(failure.kind, TagUnknown)

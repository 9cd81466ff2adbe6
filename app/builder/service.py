"""Names into images: what the routes ask for."""

from collections.abc import Mapping
from functools import partial

from app.builder.builds.build import ImageBuilder
from app.builder.builds.catalogue import Catalogue
from app.builder.builds.finished import FinishedImage, FinishedImages
from app.builder.evaluation.evaluator import Pinned, subject
from app.builder.images.image import BuiltImage
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.steps import Steps
from app.builder.names.attributes import AttributeIndex
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.errors import (
    Failure,
    NameUnknown,
    NotADerivation,
    PackagesUnknown,
    RegistryError,
    TagUnknown,
)
from app.reference import ImageReference, RepositoryName, Tag
from app.request import ImageRequest
from app.storage.records.kind import key_of

_LATEST = Tag("latest")


class ImageService:
    """``sources`` by the path component that chooses them; ``default`` for all other names.

    ``system`` is the Nix system of names without an architecture.
    """

    def __init__(
        self,
        *,
        jobs: Jobs[BuiltImage],
        builder: ImageBuilder,
        attributes: AttributeIndex,
        catalogue: Catalogue,
        finished: FinishedImages,
        sources: Mapping[str, Source],
        default: Source,
        system: str,
    ) -> None:
        self._jobs = jobs
        self._builder = builder
        self._attributes = attributes
        self._catalogue = catalogue
        self._finished = finished
        self._sources = sources
        self._default = default
        self._system = system

    def pull(
        self, reference: ImageReference, client: str
    ) -> FinishedImage | Job[BuiltImage] | Steps[BuiltImage]:
        """Return the job that resolves the tag and the build that follows, or the build alone.

        Never waits.  Raises Draining and NameInvalid.
        """
        if finished := self._finished.find(reference):
            self._jobs.counts.remembered += 1
            return finished
        request = self._request(reference.name)
        tag = reference.reference
        assert isinstance(tag, Tag)
        source = self._source(request)
        title = f"{reference.name}:{tag}"
        known = source.cached(tag)
        if isinstance(known, Revision):
            pinned = Pinned(source, known, request.system)
            job = self._jobs.join(
                _build_step(request, pinned),
                partial(self._build, request, pinned),
                title=title,
                client=client,
            )
            return self._noted(job, reference, pinned)
        key = _tag_step(request, source, tag)
        if known is None and _is_tag_unknown(self._jobs.failure(key)):
            # The source has forgotten this, so the tag may exist now.
            self._jobs.invalidate(key)
        find = partial(self._resolve, reference, request, source)
        return Steps(self._jobs.join_step(key, find, title=title, client=client))

    async def tags(self, name: RepositoryName) -> tuple[str, ...]:
        """Return the cached tags of the source and the tags built under this name, sorted.

        Nothing is evaluated or requested.  A name is unknown if a recent pull failed with that,
        or if the names of ``latest`` are in memory and lack it.  Raises NameUnknown.
        """
        request = self._request(name)
        built = await self._catalogue.tags(name)
        unknown = await self._unknown(request)
        if unknown is None:
            return tuple(sorted(self._source(request).tags() | built))
        if not built:
            raise NameUnknown(unknown.message, unknown.detail)
        return tuple(sorted(built))

    async def repositories(self) -> tuple[str, ...]:
        return await self._catalogue.names()

    def _request(self, name: RepositoryName) -> ImageRequest:
        return ImageRequest.parse(name, sources=self._sources.keys(), system=self._system)

    async def _unknown(self, request: ImageRequest) -> RegistryError | None:
        """Return why ``latest`` cannot have an image of this name, as far as that is known."""
        source = self._source(request)
        revision = await source.cached_revision(_LATEST)
        if revision is None:
            return None
        pinned = Pinned(source, revision, request.system)
        failure = self._jobs.failure(_build_step(request, pinned))
        if failure is not None and issubclass(failure.kind, PackagesUnknown | NotADerivation):
            return failure.exception()
        lacking = self._attributes.lacking(pinned, sorted(request.asked))
        if not lacking:
            return None
        return await self._attributes.explained(pinned, PackagesUnknown(lacking))

    def _source(self, request: ImageRequest) -> Source:
        return self._default if request.source is None else self._sources[request.source]

    async def _resolve(
        self,
        reference: ImageReference,
        request: ImageRequest,
        source: Source,
        job: Job[Job[BuiltImage]],
    ) -> Job[BuiltImage]:
        tag = reference.reference
        assert isinstance(tag, Tag)
        pinned = Pinned(source, await source.resolve(tag), request.system)
        key = _build_step(request, pinned)
        build = self._jobs.follow(key, partial(self._build, request, pinned), after=job)
        return self._noted(build, reference, pinned)

    async def _build(self, request: ImageRequest, pinned: Pinned, progress: Progress) -> BuiltImage:
        try:
            return await self._builder.build(request, pinned, progress)
        except PackagesUnknown as error:
            raise await self._attributes.explained(pinned, error) from None

    def _noted(
        self, job: Job[BuiltImage], reference: ImageReference, pinned: Pinned
    ) -> Job[BuiltImage]:
        """When the image is built, add it to the lists and keep it for the next pull."""

        def note() -> None:
            self._catalogue.add(reference)
            image = job.result()
            if image is not None:
                self._finished.keep(reference, pinned, image)

        job.when_succeeded(reference, note)
        return job


def _tag_step(request: ImageRequest, source: Source, tag: Tag) -> str:
    return str(key_of(["tag", source.name, str(tag), *_wanted(request)]))


def _build_step(request: ImageRequest, pinned: Pinned) -> str:
    """Return the key of everything that decides the outcome of a build.

    The build key has more parts: the names that the source lacks, which the build finds out, and
    constants of the process.
    """
    return str(key_of(["build", pinned.source.name, subject(pinned), *_wanted(request)]))


def _wanted(request: ImageRequest) -> tuple[object, ...]:
    return request.system, request.packages, sorted(request.asked), request.nonroot


def _is_tag_unknown(failure: Failure | None) -> bool:
    return failure is not None and issubclass(failure.kind, TagUnknown)

"""Names into images: what the routes ask for."""

from collections.abc import Mapping
from functools import partial

from app.builder.builds.build import ImageBuilder
from app.builder.builds.catalogue import Catalogue
from app.builder.evaluation.evaluator import Pinned
from app.builder.images.image import BuiltImage
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.names.attributes import AttributeIndex
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.errors import NameUnknown, NotADerivation, PackagesUnknown, TagUnknown
from app.reference import ImageReference, RepositoryName, Tag
from app.request import ImageRequest
from app.storage.records.kind import key_of

_LATEST = Tag("latest")


class ImageService:
    """``sources`` by the path component that chooses them; ``default`` for all other names.

    ``system`` is the Nix system of names that say no architecture.
    """

    def __init__(
        self,
        *,
        jobs: Jobs[BuiltImage],
        builder: ImageBuilder,
        attributes: AttributeIndex,
        catalogue: Catalogue,
        sources: Mapping[str, Source],
        default: Source,
        system: str,
    ) -> None:
        self._jobs = jobs
        self._builder = builder
        self._attributes = attributes
        self._catalogue = catalogue
        self._sources = sources
        self._default = default
        self._system = system

    def job(self, reference: ImageReference, client: str) -> Job[BuiltImage]:
        request = self._request(reference.name)
        tag = reference.reference
        assert isinstance(tag, Tag)

        async def start(progress: Progress) -> BuiltImage:
            return await self._build(reference, request, tag, progress)

        return self._jobs.join(
            _key(request, tag),
            start,
            title=f"{reference.name}:{tag}",
            client=client,
            still=partial(_still, self._source(request), tag),
        )

    async def tags(self, name: RepositoryName) -> tuple[str, ...]:
        """Those that the source is known to have, and those that were built under this name.

        A list evaluates nothing and asks nobody: what was asked for lately is known to be no
        package, and what is not among the names of ``latest`` where they are in memory.
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

    async def _unknown(self, request: ImageRequest) -> PackagesUnknown | NotADerivation | None:
        """Why no image of ``latest`` can be what is asked for, as far as that is known."""
        source = self._source(request)
        revision = await source.at_hand(_LATEST)
        failure = self._jobs.failure(_key(request, _LATEST), partial(_still, source, _LATEST))
        if isinstance(failure, PackagesUnknown | NotADerivation):
            return failure
        if revision is None:
            return None
        pinned = Pinned(source, revision, request.system)
        lacking = self._attributes.lacking(pinned, sorted(request.asked))
        if not lacking:
            return None
        return await self._attributes.explained(pinned, PackagesUnknown(lacking))

    def _source(self, request: ImageRequest) -> Source:
        return self._default if request.source is None else self._sources[request.source]

    async def _build(
        self, reference: ImageReference, request: ImageRequest, tag: Tag, progress: Progress
    ) -> BuiltImage:
        source = self._source(request)
        revision = await source.resolve(tag)
        # The tag was looked up again, and may not have moved.
        before = self._jobs.remembered(
            _key(request, tag), lambda job: job.progress.revision == revision.pin
        )
        progress.revision = revision.pin
        if before is not None and before.failure is not None:
            raise before.failure.with_traceback(None)
        pinned = Pinned(source, revision, request.system)
        try:
            image = await self._builder.build(request, pinned, progress)
        except PackagesUnknown as error:
            raise await self._attributes.explained(pinned, error) from None
        self._catalogue.add(reference)
        return image


def _still(source: Source, tag: Tag, job: Job[BuiltImage]) -> bool:
    """Whether the tag is taken to stand for what it stood for when the job ended."""
    match source.known(tag):
        case Revision(pin=pin):
            return job.progress.revision == pin
        case TagUnknown() as unknown:
            return job.failure is unknown
        case None:
            return job.progress.revision is None and not isinstance(job.failure, TagUnknown)


def _key(request: ImageRequest, tag: Tag) -> str:
    packages = [request.packages, sorted(request.asked)]
    parts = [request.source, request.system, packages, request.nonroot, str(tag)]
    return str(key_of(parts))

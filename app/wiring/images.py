"""The way from a request to a stored image."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from app.builder.builds.build import ImageBuilder
from app.builder.builds.catalogue import Catalogue
from app.builder.builds.closures import Closures
from app.builder.builds.composer import Composer, Layering
from app.builder.builds.contents_record import ImageContents
from app.builder.builds.finished import FinishedImages
from app.builder.builds.indexes import IndexBuilder
from app.builder.builds.manifests import Manifests
from app.builder.builds.preview import ImagePreviewer
from app.builder.builds.records import BUILDS, INDEXES, BuildRecords
from app.builder.builds.supply import Supplier
from app.builder.evaluation.evaluator import PackageEvaluator
from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.images.contents.file_trees import FileTrees
from app.builder.images.image import Built, BuiltImage, BuiltIndex
from app.builder.images.layering.choice import LayerProfiles
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.queues import WorkQueue
from app.builder.names.attributes import AttributeIndex
from app.builder.names.lookups import Lookups
from app.builder.names.search import PackageSearch
from app.builder.nix.store import Store
from app.builder.service import ImageService
from app.builder.sources.choice import SourceChoice
from app.oci import Digest
from app.settings.settings import Settings
from app.system.loop_share import LoopShare
from app.system.workers import Workers
from app.wiring.jobs import (
    evaluation_queue,
    new_jobs,
    preview_jobs,
    preview_queue,
    work_queues,
)
from app.wiring.nix import OpenNix
from app.wiring.sources import OpenSources
from app.wiring.storage import OpenStorage

# Of manifests in memory.
_MANIFEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class OpenImages:
    """The services of images, opened."""

    service: ImageService
    jobs: Jobs[Built]
    queues: tuple[WorkQueue, ...]
    search: PackageSearch
    packer: LayerPacker
    manifests: Manifests
    loop_share: LoopShare


def open_images(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    nix: OpenNix,
    stored: OpenStorage,
    sources: OpenSources,
    workers: Workers,
    profiles: LayerProfiles,
) -> OpenImages:
    evaluation, queues = evaluation_queue(settings), work_queues(settings)
    attributes = _attributes(settings, nix, stored, workers)
    stack.push_async_callback(attributes.close)
    packer = _packer(settings, stored, nix.store)
    stack.push_async_callback(packer.close)
    catalogue = Catalogue(storage=stored.storage, sources=sources.by_component.keys())
    stack.push_async_callback(catalogue.close)
    builds = BuildRecords(storage=stored.storage, existence=stored.existence, kind=BUILDS)
    indexes = BuildRecords(storage=stored.storage, existence=stored.existence, kind=INDEXES)
    manifests = _manifests(stored, builds, indexes)
    evaluator = _evaluator(nix, stored, evaluation, attributes)
    supplier = Supplier(evaluator=evaluator, sources=sources.by_name, default=sources.default)
    images = ImageBuilder(
        realiser=nix.realiser,
        evaluator=evaluator,
        supplier=supplier,
        composer=_composer(settings, stored, packer, workers, profiles, store=nix.store),
        records=builds,
        contents=ImageContents(
            storage=stored.storage, closures=Closures(storage=stored.storage, store=nix.store)
        ),
        manifests=manifests,
        queues=queues,
    )
    stack.push_async_callback(images.close)
    loop_share = LoopShare()
    jobs = new_jobs(settings, loop_share)
    # Jobs that still run are cancelled before anything that they use is closed.
    stack.push_async_callback(jobs.drain, 0)
    builder = IndexBuilder(
        images=images, records=indexes, manifests=manifests, systems=settings.systems
    )
    previewer = _previewer(settings, images, builder, packer, loop_share)
    stack.push_async_callback(previewer.jobs.drain, 0)
    service = ImageService(
        jobs=jobs,
        previewer=previewer,
        builder=builder,
        attributes=attributes,
        catalogue=catalogue,
        finished=FinishedImages(existence=stored.existence, base_of=supplier.base),
        sources=SourceChoice(sources.by_component, sources.default),
        system=settings.own_system,
    )
    waiting = (evaluation, queues.building, queues.packing, previewer.queue)
    search = _search(settings, sources, attributes)
    return OpenImages(service, jobs, waiting, search, packer, manifests, loop_share)


def _attributes(
    settings: Settings, nix: OpenNix, stored: OpenStorage, workers: Workers
) -> AttributeIndex:
    return AttributeIndex(
        nix=nix.evaluator,
        storage=stored.storage,
        workers=workers,
        lookups=Lookups(workers=workers, share=settings.client_share),
    )


def _composer(
    settings: Settings,
    stored: OpenStorage,
    packer: LayerPacker,
    workers: Workers,
    profiles: LayerProfiles,
    *,
    store: Store,
) -> Composer:
    return Composer(
        packer=packer,
        file_trees=FileTrees(storage=stored.storage, workers=workers, store=store),
        layering=_layering(settings, profiles),
        workers=workers,
    )


def _previewer(
    settings: Settings,
    images: ImageBuilder,
    builder: IndexBuilder,
    packer: LayerPacker,
    loop_share: LoopShare,
) -> ImagePreviewer:
    return ImagePreviewer(
        jobs=preview_jobs(settings, loop_share),
        images=images,
        indexes=builder,
        packer=packer,
        queue=preview_queue(settings),
    )


def _search(settings: Settings, sources: OpenSources, attributes: AttributeIndex) -> PackageSearch:
    return PackageSearch(
        attributes=attributes,
        sources=sources.by_component,
        default=sources.default,
        systems=sorted(settings.systems, key=lambda system: system != settings.own_system),
    )


def _manifests(
    stored: OpenStorage, builds: BuildRecords[BuiltImage], indexes: BuildRecords[BuiltIndex]
) -> Manifests:
    def lost(digest: Digest) -> None:
        builds.lost_document(digest)
        indexes.lost_document(digest)

    return Manifests(blobs=stored.blobs, budget=_MANIFEST_BYTES, lost=lost)


def _evaluator(
    nix: OpenNix, stored: OpenStorage, queue: WorkQueue, attributes: AttributeIndex
) -> PackageEvaluator:
    return PackageEvaluator(
        nix=nix.evaluator,
        realiser=nix.realiser,
        results=EvaluationResultCache(storage=stored.storage),
        queue=queue,
        is_listed=attributes.lists,
        is_ruled_out=attributes.rules_out,
    )


def _packer(settings: Settings, stored: OpenStorage, store: Store) -> LayerPacker:
    return LayerPacker(
        storage=stored.storage,
        existence=stored.existence,
        # Threads of its own: a large path keeps one busy for seconds.
        workers=Workers(settings.workers, background=True),
        codecs=codec.find_all(settings.codec.value),
        store=store,
    )


def _layering(settings: Settings, profiles: LayerProfiles) -> Layering:
    return Layering(
        profiles=profiles,
        budget=settings.layer_budget,
        codecs=codec.find_all(settings.codec.value),
    )

"""Build one image, from packages to stored manifests.

The order of writes is a promise: layers, then config and manifests, and the build's record last.
An interrupted build leaves objects that the next one finds, never a record whose objects are
missing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from app.builder.builds.composer import Composer, Composition, Layering
from app.builder.builds.contents_record import ImageContents
from app.builder.builds.manifests import Manifests
from app.builder.builds.records import BUILDS, BuildRecords
from app.builder.builds.supply import NO_SUPPLY, Ingredients, Supplier, Supply
from app.builder.evaluation.corrections import with_corrections
from app.builder.evaluation.evaluator import PackageEvaluator, Pinned, subject
from app.builder.images.contents.config import image_documents
from app.builder.images.contents.merging import Collision
from app.builder.images.image import BuiltImage
from app.builder.images.layering.grouping import GROUPING
from app.builder.images.packing.codec import identity_of
from app.builder.jobs.phases import Phase
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.door import NixRealiser
from app.errors import PackingTimedOut, StoreUnreadable
from app.oci import Descriptor, Digest, MediaType
from app.request import ImageRequest
from app.system.concurrency import gather
from app.system.single_flight import SingleFlight

# Raise this number when the same packages give another image.
FORMAT = 3
_COLLISIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class WorkQueues:
    """Queues of images; ``packing_seconds`` is how long one image may be packed."""

    building: WorkQueue
    packing: WorkQueue
    packing_seconds: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """The input of a build; ``key`` is the build key, of everything that decides the image."""

    key: Digest
    request: ImageRequest
    pinned: Pinned
    supply: Supply

    def renewed(self) -> "Recipe":
        """Return the recipe without packages that were evaluated for it."""
        return replace(self, supply=replace(self.supply, own=None))


class ImageBuilder:
    """Builds and stores images of one architecture each."""

    def __init__(
        self,
        *,
        realiser: NixRealiser,
        evaluator: PackageEvaluator,
        supplier: Supplier,
        composer: Composer,
        records: BuildRecords[BuiltImage],
        contents: ImageContents,
        manifests: Manifests,
        queues: WorkQueues,
    ) -> None:
        self._realiser = realiser
        self.evaluator = evaluator
        self._supplier = supplier
        self.composer = composer
        self.closures = contents.closures
        self._records = records
        self.contents = contents
        self._manifests = manifests
        self._queues = queues
        # A job of its own and that of an index may need the same image.
        self._flights: SingleFlight[Digest, BuiltImage] = SingleFlight()

    async def close(self) -> None:
        """Wait for work that was cancelled."""
        await self._flights.wait()

    async def recipe(
        self, key: str, request: ImageRequest, pinned: Pinned, progress: Progress
    ) -> Recipe:
        """Find out what the source lacks.

        ``key`` is that of the request and the source's revision.  Raises what ``Supplier.supply``
        raises.
        """
        supply = await self._supplier.supply(key, request, pinned, progress)
        return self.recipe_of(request, pinned, supply)

    def cached_recipe(self, key: str, request: ImageRequest, pinned: Pinned) -> Recipe | None:
        """Return the result of ``recipe``; None if it would have to wait."""
        supply = self._supplier.cached(key, pinned.source, pinned.system)
        return self.recipe_of(request, pinned, supply) if supply else None

    def recipe_of(self, request: ImageRequest, pinned: Pinned, supply: Supply) -> Recipe:
        key = build_key(request, pinned, self.layering, supply)
        return Recipe(key, request, pinned, supply)

    @property
    def layering(self) -> Layering:
        return self.composer.layering

    async def build(self, recipe: Recipe, progress: Progress) -> BuiltImage:
        """Return an image whose blobs are all stored; make it if a record is missing.

        Raises what PackageEvaluator and Composer raise, TooManyRequests, StorageUnavailable.
        """
        image = await self.image(recipe, progress)
        revision, supply = recipe.pinned.revision, recipe.supply
        return replace(image, warnings=(*revision.warnings, *supply.warnings, *image.warnings))

    async def ingredients(self, recipe: Recipe, progress: Progress) -> Ingredients:
        """Return the packages of a recipe.  Raises what PackageEvaluator raises, ImageUnknown."""
        return await self._supplier.ingredients(
            recipe.request, recipe.pinned, recipe.supply, progress
        )

    async def stored(self, recipe: Recipe) -> BuiltImage | None:
        """Return what ``image`` made before, if all of it is still stored."""
        return await self._records.read(recipe.key)

    async def image(self, recipe: Recipe, progress: Progress) -> BuiltImage:
        """Do what ``build`` does, with the image's own warnings only."""
        image = await self._records.read(recipe.key)
        if image is None:
            make = partial(self._make, progress=progress)
            work = partial(with_corrections, make, recipe, Recipe.renewed)
            image = await self._flights.run(recipe.key, work)
        return image

    async def _make(self, recipe: Recipe, progress: Progress) -> BuiltImage:
        with progress.phases.running(Phase.EVALUATE):
            ingredients = await self.ingredients(recipe, progress)
        composition = await self._compose_packed(ingredients, progress)
        if composition is None:
            composition = await self._compose_realised(ingredients, progress)
        for collision in composition.collisions[:_COLLISIONS_SHOWN]:
            progress.write(f"collision: {collision}")
        with progress.phases.running(Phase.STORE):
            image, config = await self._write(composition, ingredients)
            await self._records.write(recipe.key, image, (*image.manifests, config))
        return image

    async def _compose_packed(
        self, ingredients: Ingredients, progress: Progress
    ) -> Composition | None:
        """Compose from packed paths without the store; return None if one is not packed."""
        packages = tuple(ingredients.packages.values())
        closure = await self.closures.read(package.path for package in packages)
        if closure is None:
            return None
        plans = await self.composer.plan_layers(closure, ingredients.request)
        if not await self.composer.is_packed(plans, packages):
            return None
        try:
            async with self._packing(progress):
                return await self.composer.compose(ingredients, plans, closure)
        except StoreUnreadable:
            progress.write("a packed layer was deleted; it is packed again")
            return None

    async def _compose_realised(self, ingredients: Ingredients, progress: Progress) -> Composition:
        # The roots keep the paths from the garbage collector until all of them are packed.
        async with self._realiser.temporary_roots() as roots, self.composer.packing_early():
            paths = [package.path for package in ingredients.packages.values()]
            async with self._queues.building.slot(progress):
                with progress.phases.running(Phase.FETCH):
                    for pinned, packages in ingredients.by_source():
                        await self.evaluator.realise(
                            pinned, packages, roots=roots, on_line=progress.write
                        )
                    closure = await self.closures.query(paths)
            async with self._packing(progress):
                plans = await self.composer.plan_layers(closure, ingredients.request)
                return await self.composer.compose(ingredients, plans, closure)

    @asynccontextmanager
    async def _packing(self, progress: Progress) -> AsyncIterator[None]:
        """Hold a slot for packing.  Raises TooManyRequests, PackingTimedOut."""
        async with self._queues.packing.slot(progress):
            limit = asyncio.timeout(self._queues.packing_seconds)
            try:
                async with limit:
                    with progress.phases.running(Phase.PACK):
                        yield
            except TimeoutError:
                if not limit.expired():
                    raise
                raise PackingTimedOut(self._queues.packing_seconds) from None

    async def _write(
        self, composition: Composition, ingredients: Ingredients
    ) -> tuple[BuiltImage, Descriptor]:
        """Return the image and its config."""
        documents = image_documents(composition.config)
        # At the same time, since most of a write is waiting for the disk.
        config, manifest, docker, zstd, _ = await gather(
            (
                self._write_config(documents.config),
                self._write_manifest(MediaType.OCI_MANIFEST, documents.manifest),
                self._write_manifest(MediaType.DOCKER_MANIFEST, documents.docker_manifest),
                self._write_manifest(MediaType.OCI_MANIFEST, documents.zstd_manifest),
                self.contents.write(Digest.of(documents.manifest), ingredients),
            )
        )
        assert config is not None
        assert manifest is not None
        layers = [item.layer for item in composition.config.layers]
        zstd_layers = {layer.zstd for layer in layers if layer.zstd is not None}
        image = BuiltImage(
            manifest=manifest,
            docker_manifest=docker,
            blobs=frozenset({config, *(layer.descriptor for layer in layers), *zstd_layers}),
            warnings=(*ingredients.warnings, *_warnings(composition.collisions)),
            zstd_manifest=zstd,
        )
        return image, config

    async def _write_config(self, document: bytes) -> Descriptor | None:
        digest = await self._manifests.blobs.write_blob(document)
        return Descriptor(MediaType.OCI_CONFIG, digest, len(document))

    async def _write_manifest(
        self, media_type: MediaType, document: bytes | None
    ) -> Descriptor | None:
        if document is None:
            return None
        return await self._manifests.write(media_type, document)


def build_key(
    request: ImageRequest, pinned: Pinned, layering: Layering, supply: Supply = NO_SUPPLY
) -> Digest:
    """Return the key of everything that decides an image."""
    return BUILDS.key(
        image=FORMAT,
        source=pinned.source.name,
        subject=subject(pinned),
        base=supply.subject,
        **request.key_parts,
        grouping=GROUPING,
        plans=layering.profiles.identities,
        budget=layering.layers(request),
        codec=identity_of(layering.codecs),
    )


def _warnings(collisions: Sequence[Collision]) -> tuple[str, ...]:
    match len(collisions):
        case 0:
            return ()
        case 1:
            return (f"two packages have the same file: {collisions[0]}",)
        case count:
            return (f"packages share {count} file names: {collisions[0]}, and more",)

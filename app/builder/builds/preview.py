"""What a pull of an image would take: closure, layers, sizes, and where each path comes from.

Names are evaluated as for a pull, and the results are kept for it.  Nothing is built, downloaded
or packed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from app.builder.builds.build import ImageBuilder, Recipe
from app.builder.builds.index_recipe import IndexRecipe
from app.builder.builds.indexes import IndexBuilder
from app.builder.builds.supply import Ingredients
from app.builder.evaluation.corrections import with_corrections
from app.builder.evaluation.evaluator import Pinned
from app.builder.images.image import Built, BuiltImage
from app.builder.images.packing.packer import LayerPacker
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.preview import StorePreview, merged
from app.errors import RegistryError
from app.oci import Digest
from app.request import ARCHITECTURES, ImageRequest

# The layer of an image's own files and of the links to the packages.
_OWN_LAYERS = 1


class Place(StrEnum):
    """Where a path comes from, the nearest place first."""

    PACKED = "packed"
    STORE = "store"
    CACHE = "cache"
    BUILD = "build"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class PreviewedPath:
    """A store path of an image that is not built, and where a pull would take it from.

    ``size`` is in compressed bytes as clients download them, None if it is not packed.
    ``nar_size`` is None for a path whose size is not known before it exists.  ``download_size`` are
    bytes that the server would download from ``cache``.
    """

    path: StorePath
    place: Place
    nar_size: int | None
    size: int | None
    cache: str = ""
    download_size: int | None = None


@dataclass(frozen=True, slots=True)
class PreviewedLayer:
    """A layer of store paths; ``size`` is None unless all of its paths are packed."""

    paths: tuple[StorePath, ...]
    nar_size: int
    size: int | None
    is_stored: bool


@dataclass(frozen=True, slots=True)
class PreviewedPackage:
    """A package of an image that is not built."""

    attribute: str
    version: str
    path: StorePath
    place: Place


@dataclass(frozen=True, slots=True)
class PreviewedImage:
    """The image of one architecture.

    ``paths`` is the whole closure, and ``layers`` are those of a pull, if ``is_complete``; else
    some packages have to be built first.  ``builds`` are the derivations that would be built.
    """

    architecture: str
    digest: Digest | None
    is_complete: bool
    packages: tuple[PreviewedPackage, ...]
    paths: tuple[PreviewedPath, ...]
    builds: tuple[StorePath, ...]
    layers: tuple[PreviewedLayer, ...]

    @property
    def layer_count(self) -> int:
        """The layers of a pull, with that of the image's own files and links to the packages."""
        return len(self.layers) + _OWN_LAYERS


@dataclass(frozen=True, slots=True)
class LacksArchitecture:
    """An architecture without an image, and the reason."""

    architecture: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImagePreview:
    """What a pull would take, for each architecture of the name.

    ``digest`` is that of the image or index if a pull would find it stored.
    """

    source: str
    revision: str
    digest: Digest | None
    images: tuple[PreviewedImage, ...]
    lacking: tuple[LacksArchitecture, ...] = ()


class ImagePreviewer:
    """Find out what pulls would take, in jobs.

    ``jobs`` are those of previews; ``queue`` bounds queries to Nix's store and binary caches.
    """

    def __init__(
        self,
        *,
        jobs: Jobs[ImagePreview],
        images: ImageBuilder,
        indexes: IndexBuilder,
        packer: LayerPacker,
        queue: WorkQueue,
    ) -> None:
        self.jobs = jobs
        self._images = images
        self._indexes = indexes
        self._packer = packer
        self.queue = queue

    async def preview(
        self, key: str, request: ImageRequest, pinned: Pinned, progress: Progress
    ) -> ImagePreview:
        """Return what a pull of the request would take at this revision.

        ``key`` is that of the request and the source's revision.

        Raises what ``IndexBuilder.recipe`` and ``PackageEvaluator.preview`` raise, TooManyRequests,
        StorageUnavailable.
        """
        recipe = await self._indexes.recipe(key, request, pinned, progress)
        built = await self._indexes.stored(recipe)
        found: list[PreviewedImage] = []
        lacking: list[LacksArchitecture] = []
        for architecture, one in _parts(recipe):
            if isinstance(one, RegistryError):
                lacking.append(LacksArchitecture(architecture, one.message))
            else:
                work = partial(self._image, progress=progress.part(architecture))
                found.append(await with_corrections(work, one, Recipe.renewed))
        return ImagePreview(
            source=pinned.source.name,
            revision=pinned.revision.label,
            digest=_digest(built),
            images=tuple(found),
            lacking=tuple(lacking),
        )

    async def _image(self, recipe: Recipe, progress: Progress) -> PreviewedImage:
        ingredients = await self._images.ingredients(recipe, progress)
        packages = tuple(ingredients.packages.values())
        wanted = [package.path for package in packages]
        closure = await self._images.closures.read(wanted)
        sizes = await self._packed(closure.paths if closure else wanted)
        store = StorePreview()
        if closure is None or len(sizes) < len(closure):
            store = await self._store(ingredients, progress)
        if closure is None:
            closure = _closure(wanted, store)
        if closure is not None:
            sizes = await self._packed(closure.paths)
        known = closure.objects if closure else store.objects
        places = {
            path: _place(path, sizes, store) for path in sorted({*wanted, *known, *store.cached})
        }
        stored = await self._images.stored(recipe)
        return PreviewedImage(
            architecture=ARCHITECTURES[recipe.request.system],
            digest=stored.manifest.digest if stored else None,
            is_complete=closure is not None,
            packages=tuple(
                PreviewedPackage(one.attribute, one.version or "", one.path, places[one.path])
                for one in packages
            ),
            paths=tuple(
                PreviewedPath(
                    path=path,
                    place=place,
                    nar_size=known[path].nar_size if path in known else None,
                    size=sizes.get(path),
                    cache=store.cached[path].cache if place is Place.CACHE else "",
                    download_size=store.cached[path].size if place is Place.CACHE else None,
                )
                for path, place in places.items()
            ),
            builds=tuple(sorted(store.builds)),
            layers=await self._layers(closure, recipe.request, sizes) if closure else (),
        )

    async def _store(self, ingredients: Ingredients, progress: Progress) -> StorePreview:
        async with self.queue.slot(progress):
            return merged(
                [
                    await self._images.evaluator.preview(pinned, packages)
                    for pinned, packages in ingredients.by_source()
                ]
            )

    async def _packed(self, paths: Sequence[StorePath]) -> dict[StorePath, int]:
        layers = await self._packer.stored((path,) for path in paths)
        return {
            path: layer.descriptor.size for path, layer in zip(paths, layers, strict=True) if layer
        }

    async def _layers(
        self, closure: Closure, request: ImageRequest, sizes: dict[StorePath, int]
    ) -> tuple[PreviewedLayer, ...]:
        plans = await self._images.composer.plan_layers(closure, request)
        stored = await self._packer.stored(plan.paths for plan in plans)
        return tuple(
            PreviewedLayer(
                paths=plan.paths,
                nar_size=sum(closure[path].nar_size for path in plan.paths),
                size=layer.descriptor.size if layer else _sum(plan.paths, sizes),
                is_stored=layer is not None,
            )
            for plan, layer in zip(plans, stored, strict=True)
        )


def _parts(recipe: Recipe | IndexRecipe) -> Iterable[tuple[str, Recipe | RegistryError]]:
    if isinstance(recipe, Recipe):
        return [(ARCHITECTURES[recipe.request.system], recipe)]
    return [(part.architecture, part.recipe) for part in recipe.parts]


def _closure(wanted: Iterable[StorePath], store: StorePreview) -> Closure | None:
    """Return the closure of the packages; None if it is known in part only."""
    if store.unknown or not all(path in store.objects for path in wanted):
        return None
    try:
        return Closure(store.objects.values())
    except ValueError:  # a path was deleted between two queries
        return None


def _place(path: StorePath, packed: Collection[StorePath], store: StorePreview) -> Place:
    if path in packed:
        return Place.PACKED
    if path in store.local:
        return Place.STORE
    if path in store.cached:
        return Place.CACHE
    return Place.NOWHERE if path in store.unavailable else Place.BUILD


def _sum(paths: Iterable[StorePath], sizes: dict[StorePath, int]) -> int | None:
    found = [sizes.get(path) for path in paths]
    known = [size for size in found if size is not None]
    return sum(known) if len(known) == len(found) else None


def _digest(built: Built | None) -> Digest | None:
    if built is None:
        return None
    return built.manifest.digest if isinstance(built, BuiltImage) else built.index.digest

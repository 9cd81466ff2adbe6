"""One index from the images of several architectures, built side by side.

The revision decides which architectures an index has: one without the packages is left out.  This
decision is stored with the index by the first server that builds it, and holds for all others.
Every other failure is one of the whole index.
"""

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.builder.builds.build import ImageBuilder, Recipe
from app.builder.builds.contents_record import ImagePackages
from app.builder.builds.index_recipe import (
    IndexRecipe,
    Part,
    base_of,
    error_of,
    index_key,
    warnings_of,
)
from app.builder.builds.manifests import Manifests
from app.builder.builds.records import BuildRecords
from app.builder.evaluation.evaluator import Pinned
from app.builder.images.contents.index import index_documents
from app.builder.images.image import Built, BuiltImage, BuiltIndex, Child, LeftOut
from app.builder.jobs.progress import Progress
from app.builder.nix.door import EvaluationStopped
from app.errors import EvaluationFailed, ImageUnknown, RegistryError
from app.oci import Digest, MediaType
from app.request import ARCHITECTURES, ImageRequest
from app.system.concurrency import gather

T = TypeVar("T")


class IndexBuilder:
    """Builds indexes of the images of several systems, which are listed in their order."""

    def __init__(
        self,
        *,
        images: ImageBuilder,
        records: BuildRecords[BuiltIndex],
        manifests: Manifests,
        systems: Sequence[str],
    ) -> None:
        self._images = images
        self._records = records
        self._manifests = manifests
        self.systems = tuple(systems)

    @property
    def makes_indexes(self) -> bool:
        """Whether a name without an architecture has several images: of architectures or codecs."""
        return len(self.systems) > 1 or len(self._images.layering.codecs) > 1

    async def recipe(
        self, key: str, request: ImageRequest, pinned: Pinned, progress: Progress
    ) -> Recipe | IndexRecipe:
        """Find out what the source lacks, for all architectures of the request.

        ``key`` is that of the request and the source's revision.  Raises what ImageBuilder.recipe
        does; if no architecture has the packages, the error of the request's own.
        """
        if request.one_system:
            return await self._images.recipe(key, request, pinned, progress)
        found = await gather(
            _or_lacking(
                self._images.recipe(
                    f"{key} {one}", *_for(one, request, pinned), progress.part(ARCHITECTURES[one])
                )
            )
            for one in self._ordered(request)
        )
        recipe = self._recipe(request, pinned, found)
        # What is stored can be served even if it could not be built now.
        lacks_all = not any(part.supply for part in recipe.parts)
        if lacks_all and await self._records.recorded(recipe.key) is None:
            raise error_of(recipe)
        return recipe

    def cached_recipe(
        self, key: str, request: ImageRequest, pinned: Pinned
    ) -> Recipe | IndexRecipe | None:
        """Return the result of ``recipe``; None if it would have to wait."""
        if request.one_system:
            return self._images.cached_recipe(key, request, pinned)
        found: list[Recipe | RegistryError] = []
        for one in self._ordered(request):
            recipe = self._images.cached_recipe(f"{key} {one}", *_for(one, request, pinned))
            if recipe is None:
                return None
            found.append(recipe)
        return self._recipe(request, pinned, found)

    async def packages(self, manifest: Digest) -> ImagePackages:
        """Return the recorded packages of one image.  Raises StorageUnavailable."""
        return await self._images.contents.read(manifest)

    async def stored(self, recipe: Recipe | IndexRecipe) -> Built | None:
        """Return what ``build`` made before, if all of it is still stored."""
        if isinstance(recipe, Recipe):
            return await self._images.stored(recipe)
        return await self._records.read(recipe.key)

    async def build(self, recipe: Recipe | IndexRecipe, progress: Progress) -> Built:
        """Return an index whose images are all stored, or one image; make what is missing.

        Raises what ImageBuilder.build does; if no architecture has an image, the error of the
        request's own.
        """
        if isinstance(recipe, Recipe):
            return await self._images.build(recipe, progress)
        index = await self._records.read(recipe.key)
        if index is None:
            index = await self._make(recipe, progress)
        return replace(index, warnings=warnings_of(recipe, index))

    def _ordered(self, request: ImageRequest) -> list[str]:
        return sorted(self.systems, key=lambda one: ARCHITECTURES[one] != request.first)

    def _recipe(
        self, request: ImageRequest, pinned: Pinned, found: Iterable[Recipe | RegistryError]
    ) -> IndexRecipe:
        recipes = self._with_one_base(tuple(found))
        parts = tuple(map(Part, map(ARCHITECTURES.__getitem__, self._ordered(request)), recipes))
        key = index_key(request, pinned, self.systems, self._images.layering, base_of(recipes))
        return IndexRecipe(key, pinned, parts)

    def _with_one_base(
        self, recipes: Sequence[Recipe | RegistryError]
    ) -> tuple[Recipe | RegistryError, ...]:
        """Let all recipes use one revision of the base, which may have moved between them."""
        base = base_of(recipes)
        return tuple(
            self._images.recipe_of(
                one.request,
                one.pinned,
                replace(one.supply, base=replace(base, system=one.pinned.system)),
            )
            if base is not None and isinstance(one, Recipe) and one.supply.base not in (None, base)
            else one
            for one in recipes
        )

    async def _make(self, recipe: IndexRecipe, progress: Progress) -> BuiltIndex:
        recorded = await self._records.recorded(recipe.key)
        if recorded is None:
            images, left_out = await self._decide(recipe, progress)
        else:
            left_out = {one.architecture: one for one in recorded.left_out}
            wanted = [part for part in recipe.parts if part.architecture not in left_out]
            made = await gather(self._image(part, progress) for part in wanted)
            images = {part.architecture: one for part, one in zip(wanted, made, strict=True)}
        index = await self._store(
            [Child(name, images[name]) for name in self._order if name in images],
            [left_out[name] for name in self._order if name in left_out],
        )
        if recorded is None:
            return await self._records.settle(recipe.key, index)
        await self._records.write(recipe.key, index)
        return index

    async def _decide(
        self, recipe: IndexRecipe, progress: Progress
    ) -> tuple[dict[str, BuiltImage], dict[str, LeftOut]]:
        """Build what the revision has; raise the error of an architecture if that is nothing."""
        made = await gather(_or_lacking(self._image(part, progress)) for part in recipe.parts)
        images: dict[str, BuiltImage] = {}
        left_out: dict[str, LeftOut] = {}
        for part, one in zip(recipe.parts, made, strict=True):
            name = part.architecture
            if isinstance(one, RegistryError):
                left_out[name] = LeftOut(name, one.message)
                progress.part(name).write(f"left out: {one.message}")
            else:
                images[name] = one
        if not images:
            errors = (one for one in made if isinstance(one, RegistryError))
            parts = tuple(map(Part, (part.architecture for part in recipe.parts), errors))
            raise error_of(replace(recipe, parts=parts))
        return images, left_out

    async def _image(self, part: Part, progress: Progress) -> BuiltImage:
        if isinstance(part.recipe, RegistryError):
            raise part.recipe
        return await self._images.image(part.recipe, progress.part(part.architecture))

    async def _store(self, children: Sequence[Child], left_out: Sequence[LeftOut]) -> BuiltIndex:
        documents = index_documents(children)
        docker_list = None
        if documents.docker_list is not None:
            docker_list = await self._manifests.write(MediaType.DOCKER_LIST, documents.docker_list)
        return BuiltIndex(
            index=await self._manifests.write(MediaType.OCI_INDEX, documents.index),
            docker_list=docker_list,
            children=tuple(children),
            left_out=tuple(left_out),
        )

    @property
    def _order(self) -> tuple[str, ...]:
        return tuple(ARCHITECTURES[system] for system in self.systems)


async def _or_lacking(work: Coroutine[None, None, T]) -> T | RegistryError:
    """Return the error as a value if the revision has no such packages."""
    try:
        return await work
    except EvaluationStopped:
        raise  # another evaluation of the same revision may succeed
    except (ImageUnknown, EvaluationFailed) as error:
        return error


def _for(system: str, request: ImageRequest, pinned: Pinned) -> tuple[ImageRequest, Pinned]:
    return replace(request, system=system), replace(pinned, system=system)

"""Compose an image's layers and configuration from packages and their closure."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from app.builder.builds.labels import image_labels
from app.builder.builds.supply import Ingredients
from app.builder.evaluation.selection import service_of
from app.builder.images.contents.base import base_entries
from app.builder.images.contents.claims import DEFAULT_PRIORITY
from app.builder.images.contents.config import ImageConfig, ImageLayer, command, describe_paths
from app.builder.images.contents.file_trees import FileTrees, ImageFiles
from app.builder.images.contents.merging import Collision
from app.builder.images.image import LayerPlan
from app.builder.images.layering.choice import LayerProfiles
from app.builder.images.layering.grouping import FEW_LAYERS, plan_layers
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import Closure
from app.builder.nix.results import Found
from app.builder.nix.service import Service
from app.request import ALWAYS, ARCHITECTURES, ImageRequest
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.workers import Workers

# Some clients read the Unix epoch itself as "no time".
_NO_DATE = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Layering:
    """The rules for cutting and packing closures, which are part of the build key."""

    profiles: LayerProfiles
    budget: int
    codecs: tuple[Codec, ...]

    def layers(self, request: ImageRequest) -> int:
        """Return the greatest number of layers of store paths."""
        return min(self.budget, FEW_LAYERS) if request.few_layers else self.budget

    @blocking
    def cut(self, closure: Closure, request: ImageRequest) -> tuple[LayerPlan, ...]:
        return plan_layers(closure, self.profiles.choose(closure), self.layers(request))


@dataclass(frozen=True, slots=True)
class Composition:
    """The layers named in ``config`` are stored."""

    config: ImageConfig
    collisions: tuple[Collision, ...]


class Composer:
    """Plans and packs the layers of images, and describes them in a configuration."""

    def __init__(
        self, *, packer: LayerPacker, file_trees: FileTrees, layering: Layering, workers: Workers
    ) -> None:
        self._workers = workers
        self._packer = packer
        self._file_trees = file_trees
        self.layering = layering

    async def plan_layers(self, closure: Closure, request: ImageRequest) -> tuple[LayerPlan, ...]:
        """Return the layers of store paths, the lowest first."""
        # Planning thousands of paths takes tens of milliseconds.
        return await self._workers.run(self.layering.cut, closure, request)

    def packing_early(self) -> AbstractAsyncContextManager[None]:
        """Pack paths of the caller's job while others are still looked up."""
        return self._packer.early()

    async def is_packed(self, plans: Sequence[LayerPlan], packages: Sequence[Found]) -> bool:
        """Return whether ``compose`` would not read the store."""
        return all(
            # Concurrently: after a restart both wait for the disk.
            await gather(
                (
                    self._packer.has_all(plan.paths for plan in plans),
                    self._file_trees.has_all([package.path for package in packages]),
                )
            )
        )

    async def compose(
        self, ingredients: Ingredients, plans: Sequence[LayerPlan], closure: Closure
    ) -> Composition:
        """Pack what is not packed yet.  The caller holds roots for the paths.

        Raises Unpackable, StoreUnreadable, StorageUnavailable, BytesChanged.
        """
        request = ingredients.request
        services = _services(ingredients)
        layers = await gather(self._packer.layer(plan.paths) for plan in plans)
        # Packing a path from a binary cache also finds its names: read them afterwards.
        files = await self._files(ingredients, services, closure)
        own_layer = await self._packer.contents_layer(files.with_base(base_entries()))
        config = ImageConfig(
            architecture=ARCHITECTURES[request.system],
            created=ingredients.pinned.revision.date or _NO_DATE,
            command=command(
                shells=files.links.shells,
                interactive=request.interactive,
                services=[service.command for service in services.values()],
                main_programs=_main_programs(ingredients),
            ),
            nonroot=request.nonroot,
            environment=files.additions.environment,
            labels=image_labels(ingredients),
            user=_user(services, interactive=request.interactive),
            layers=(
                *(
                    ImageLayer(layer, describe_paths(plan.paths))
                    for layer, plan in zip(layers, plans, strict=True)
                ),
                ImageLayer(own_layer, "nix: files of every image, and links to the packages"),
            ),
        )
        return Composition(config, files.links.collisions)

    async def _files(
        self, ingredients: Ingredients, services: Mapping[str, Service], closure: Closure
    ) -> ImageFiles:
        return await self._file_trees.merge(
            (
                (package.path, DEFAULT_PRIORITY if package.priority is None else package.priority)
                for package in ingredients.packages.values()
            ),
            base_entries(),
            closure,
            services,
            nonroot=ingredients.request.nonroot,
        )


def _main_programs(ingredients: Ingredients) -> list[str | None]:
    """Return the main programs of the packages, without those that every image has."""
    request = ingredients.request
    added = {*ALWAYS, *(name for name in request.packages if name not in request.named)}
    packages = ingredients.packages.items()
    return [package.main_program for name, package in packages if name not in added]


def _services(ingredients: Ingredients) -> dict[str, Service]:
    """Return the services of the packages that the name lists.  Raises EvaluationFailed."""
    found = {
        package.attribute: service_of(package)
        for name, package in ingredients.packages.items()
        if name in ingredients.request.named
    }
    return {name: service for name, service in found.items() if service}


def _user(services: Mapping[str, Service], *, interactive: bool) -> str:
    """Return the user of the only service; "" for root."""
    if interactive or len(services) != 1:
        return ""
    [service] = services.values()
    return "" if service.user == "root" else service.user

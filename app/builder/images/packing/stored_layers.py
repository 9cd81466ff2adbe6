"""Layers that were packed before: their records, as long as their blobs are stored."""

from collections.abc import Coroutine, Sequence

from app.builder.images.image import Layer
from app.builder.images.packing import record
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.record import PackedPath
from app.builder.nix.closure import StorePath
from app.oci import Digest
from app.storage.base import Storage
from app.storage.existence_cache import BlobExistenceCache
from app.storage.records.cache import RememberedRecords
from app.system.concurrency import gather


class StoredLayers:
    """The layers that can be used without packing.

    ``paths`` and ``layers`` are the records, which may name blobs that are missing.
    """

    def __init__(self, *, storage: Storage, existence: BlobExistenceCache) -> None:
        self.paths = RememberedRecords(storage=storage, kind=record.PATHS)
        self.layers = RememberedRecords(storage=storage, kind=record.LAYERS)
        self._existence = existence

    async def layer(self, key: Digest) -> Layer | None:
        known = await self.layers.read(key)
        return known if known and await self._existence.has(known.descriptor) else None

    async def path(self, key: Digest) -> PackedPath | None:
        known = await self.paths.read(key)
        return known if known and await self._existence.has(known.layer.descriptor) else None

    def remembered(self, key: Digest) -> PackedPath | None:
        """Return a path that is known to be stored, without reading the storage."""
        known = self.paths.remembered(key)
        return known if known and self._existence.trust((known.layer.descriptor,)) else None

    async def has_all(self, codec: Codec, layers: Sequence[tuple[StorePath, ...]]) -> bool:
        """Return whether all layers are stored, or all their paths, from which they can be made."""
        single = [path for paths in layers if len(paths) == 1 for path in paths]
        several = [paths for paths in layers if len(paths) != 1]
        known = await self.layers.read_each(
            [record.layer_key(codec, ordered) for ordered in several]
        )
        await self._existence.has_all(layer.descriptor for layer in known if layer is not None)
        for ordered, layer in zip(several, known, strict=True):
            if layer is None or not await self._existence.has(layer.descriptor):
                single += ordered
        packed = await self.paths.read_each([record.path_key(codec, path) for path in single])
        return None not in packed and await self._existence.has_all(
            path.layer.descriptor for path in packed if path is not None
        )

    async def find(
        self, codec: Codec, wanted: Sequence[tuple[StorePath, ...]]
    ) -> list[Layer | None]:
        """Return the layer of each group of paths; None for one that is not stored."""
        single = [record.path_key(codec, one[0]) for one in wanted if len(one) == 1]
        several = [record.layer_key(codec, one) for one in wanted if len(one) > 1]
        packed, merged = await gather(
            (_layers_of(self.paths.read_each(single)), self.layers.read_each(several))
        )
        found = dict(zip((*single, *several), (*packed, *merged), strict=True))
        await self._existence.has_all(layer.descriptor for layer in found.values() if layer)
        keys = [
            record.path_key(codec, one[0]) if len(one) == 1 else record.layer_key(codec, one)
            for one in wanted
        ]
        return [await self._if_stored(found[key]) for key in keys]

    async def _if_stored(self, layer: Layer | None) -> Layer | None:
        return layer if layer and await self._existence.has(layer.descriptor) else None


async def _layers_of(
    packed: Coroutine[None, None, list[PackedPath | None]],
) -> list[Layer | None]:
    return [None if one is None else one.layer for one in await packed]

"""Turn store paths into layers; each path is compressed once, and records keep the result.

A path is packed as a layer of its own.  A layer of several paths is made of the members of
their layers without compressing, so that another grouping costs little.  A record whose blob is
missing is ignored.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from loguru import logger

from app.builder.images.image import Layer
from app.builder.images.packing import record
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.entry import Entry, archive_order, entries_digest
from app.builder.images.packing.layer_writer import LayerWriter
from app.builder.images.packing.merge_layers import PartUnusable
from app.builder.images.packing.record import PackedPath
from app.builder.nix.closure import StorePath
from app.builder.nix.store import StoreReader
from app.errors import RegistryError
from app.oci import Descriptor, Digest
from app.storage import keys
from app.storage.base import Storage
from app.storage.existence_cache import BlobExistenceCache
from app.storage.records.cache import RememberedRecords
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.single_flight import SingleFlight
from app.system.workers import Workers

# Threads for layers that are made from memory or from packed paths.
_BRIEF = 4


class BytesChanged(RegistryError):
    """A second packing differs from the first, which ``record`` describes."""

    def __init__(self, subject: str, record: str, remembered: Layer, found: Layer) -> None:
        cause = (
            "its compressed bytes"
            if remembered.diff_id == found.diff_id
            else "its content (was it built again, differently?)"
        )
        super().__init__(
            f"{subject} was {_short(remembered)} and is {_short(found)} now: {cause} changed;"
            f" to accept that, delete {record} from the storage"
        )


@dataclass(frozen=True, slots=True)
class PackingCounters:
    """Since the start of the process; ``compressed_bytes`` counts tar bytes given to the codec."""

    paths_packed: int = 0
    layers_assembled: int = 0
    compressed_bytes: int = 0


class LayerPacker:
    """The same paths give the same bytes, in any order, with any workers and any stored layers."""

    def __init__(
        self,
        *,
        storage: Storage,
        existence: BlobExistenceCache,
        workers: Workers,
        codec: Codec,
        store: StoreReader,
    ) -> None:
        self._codec = codec
        self._storage = storage
        # Images with nothing left to pack must not queue behind packing.
        self._brief = Workers(_BRIEF)
        self._writer = LayerWriter(
            storage=storage,
            workers=workers,
            brief=self._brief,
            codec=codec,
            store=store,
        )
        self._paths = RememberedRecords(storage=storage, kind=record.PATHS)
        self._layers = RememberedRecords(storage=storage, kind=record.LAYERS)
        self._existence = existence
        self._path_flights: SingleFlight[Digest, PackedPath] = SingleFlight()
        self._layer_flights: SingleFlight[Digest, Layer] = SingleFlight()
        self._counters = PackingCounters()

    @property
    def counters(self) -> PackingCounters:
        return self._counters

    async def layer(self, paths: Iterable[StorePath]) -> Layer:
        """Return the layer of the paths, which is then stored.  The caller holds roots for the paths.

        Raises Unpackable, StoreUnreadable, StorageUnavailable, BytesChanged.
        """
        ordered = _ordered(paths)
        if not ordered:
            raise ValueError("a layer of no store paths")
        if len(ordered) == 1:
            return (await self._path(ordered[0])).layer
        key = record.layer_key(self._codec, ordered)
        return await self._stored(key, partial(self._merge, key, ordered))

    async def contents_layer(self, entries: Sequence[Entry]) -> Layer:
        """Return a layer of entries in memory; missing parent directories are added, 0755.

        Raises StorageUnavailable; ValueError for entries that are not a tree.
        """
        complete, digest = await self._brief.run(_archive, entries)
        key = record.contents_key(self._codec, digest)
        return await self._stored(key, partial(self._pack_entries, key, complete))

    async def has_all(self, layers: Iterable[Iterable[StorePath]]) -> bool:
        """Return whether ``layer`` would not need the store for any of these layers."""
        single: list[StorePath] = []
        several: list[tuple[StorePath, ...]] = []
        for paths in layers:
            ordered = _ordered(paths)
            if len(ordered) == 1:
                single += ordered
            else:
                several.append(ordered)
        known = await self._layers.read_each(
            [record.layer_key(self._codec, ordered) for ordered in several]
        )
        await self._existence.has_all(layer.descriptor for layer in known if layer is not None)
        for ordered, layer in zip(several, known, strict=True):
            if layer is None or not await self._existence.has(layer.descriptor):
                single += ordered
        packed = await self._paths.read_each(
            [record.path_key(self._codec, path) for path in single]
        )
        return None not in packed and await self._existence.has_all(
            path.layer.descriptor for path in packed if path is not None
        )

    async def stored(self, layers: Iterable[Iterable[StorePath]]) -> list[Layer | None]:
        """Return what ``layer`` would for each, None where it is not stored.  Nothing is packed."""
        wanted = [_ordered(paths) for paths in layers]
        single = [record.path_key(self._codec, one[0]) for one in wanted if len(one) == 1]
        several = [record.layer_key(self._codec, one) for one in wanted if len(one) > 1]
        packed, merged = await gather(
            (_layers_of(self._paths.read_each(single)), self._layers.read_each(several))
        )
        found = dict(zip((*single, *several), (*packed, *merged), strict=True))
        await self._existence.has_all(layer.descriptor for layer in found.values() if layer)
        keys = [
            record.path_key(self._codec, one[0])
            if len(one) == 1
            else record.layer_key(self._codec, one)
            for one in wanted
        ]
        return [await self._if_stored(found[key]) for key in keys]

    async def _if_stored(self, layer: Layer | None) -> Layer | None:
        return layer if layer and await self._existence.has(layer.descriptor) else None

    async def close(self) -> None:
        """Wait for running tasks."""
        await self._layer_flights.wait()
        await self._path_flights.wait()
        await self._writer.close()

    async def _stored(self, key: Digest, make: Callable[[], Coroutine[None, None, Layer]]) -> Layer:
        known = await self._layers.read(key)
        if known is not None and await self._existence.has(known.descriptor):
            return known
        return await self._layer_flights.run(key, make)

    async def _path(self, path: StorePath) -> PackedPath:
        key = record.path_key(self._codec, path)
        known = await self._paths.read(key)
        if known is not None and await self._existence.has(known.layer.descriptor):
            return known
        return await self._path_flights.run(key, partial(self._pack_path, key, path))

    async def _pack_path(self, key: Digest, path: StorePath) -> PackedPath:
        packed = await self._writer.pack_path(path)
        self._count(paths_packed=1, compressed_bytes=packed.tar_size)
        self._existence.note(packed.layer.descriptor)
        known = await self._paths.settle(key, packed)
        if not await self._existence.has(known.layer.descriptor):
            raise BytesChanged(str(path), keys.record("paths", key), known.layer, packed.layer)
        return known

    async def _pack_entries(self, key: Digest, entries: Sequence[Entry]) -> Layer:
        packed, known = await self._writer.pack_entries(entries, partial(self._layers.settle, key))
        self._count(compressed_bytes=packed.tar_size)
        return await self._checked(key, "a layer of an image's own files", packed.layer, known)

    async def _merge(self, key: Digest, paths: Sequence[StorePath]) -> Layer:
        parts = await gather(self._path(path) for path in paths)
        try:
            merged = await self._writer.merge(parts)
        except PartUnusable:
            # Deleted since the last check, or damaged; other parts may be as well.
            await gather(self._check_again(part.layer.descriptor) for part in parts)
            parts = await gather(self._path(path) for path in paths)
            merged = await self._writer.merge(parts)
        self._count(layers_assembled=1)
        known = await self._layers.settle(key, merged.layer)
        subject = f"the layer of {paths[0]} and others"
        return await self._checked(key, subject, merged.layer, known)

    async def _checked(self, key: Digest, subject: str, layer: Layer, known: Layer) -> Layer:
        """Return ``known``, the recorded layer, if it is ``layer`` or stored as well."""
        self._existence.note(layer.descriptor)
        if not await self._existence.has(known.descriptor):
            raise BytesChanged(subject, keys.record("layers", key), known, layer)
        return known

    async def _check_again(self, blob: Descriptor) -> None:
        self._existence.invalidate(blob.digest)
        if not await self._writer.is_whole(blob):
            logger.warning(
                "the stored blob {} is damaged or missing, and is made again", blob.digest
            )
            await self._storage.delete(keys.blob(blob.digest))

    def _count(
        self, *, paths_packed: int = 0, layers_assembled: int = 0, compressed_bytes: int = 0
    ) -> None:
        now = self._counters
        self._counters = PackingCounters(
            now.paths_packed + paths_packed,
            now.layers_assembled + layers_assembled,
            now.compressed_bytes + compressed_bytes,
        )


async def _layers_of(
    packed: Coroutine[None, None, list[PackedPath | None]],
) -> list[Layer | None]:
    return [None if one is None else one.layer for one in await packed]


def _ordered(paths: Iterable[StorePath]) -> tuple[StorePath, ...]:
    """Return the paths in their order in a layer."""
    return tuple(sorted(set(paths), key=lambda path: (path.name, path.base)))


@blocking
def _archive(entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], Digest]:
    complete = archive_order(entries)
    return complete, entries_digest(complete)


def _short(layer: Layer) -> str:
    return f"sha256:{layer.descriptor.digest.hex[:12]}"

"""Turn store paths into layers; each path is compressed once, and records keep the result.

A path is packed as a layer of its own.  A layer of several paths is made of the blocks of
their layers without compressing, so that another grouping costs little.  A record whose blob is
missing is ignored.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from loguru import logger

from app.builder.images.image import Layer
from app.builder.images.packing import record
from app.builder.images.packing.changes import BytesChanged, in_all_codecs
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.early import packing_early
from app.builder.images.packing.entry import Entry, archive_order, entries_digest
from app.builder.images.packing.layer_writer import LayerWriter, is_damaged
from app.builder.images.packing.merge_layers import PartUnusable
from app.builder.images.packing.record import PackedPath
from app.builder.images.packing.stored_layers import StoredLayers
from app.builder.nix.closure import StorePath
from app.builder.nix.store import StoreReader
from app.oci import Descriptor, Digest
from app.storage import keys
from app.storage.base import Storage
from app.storage.existence_cache import BlobExistenceCache
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.single_flight import SingleFlight
from app.system.workers import Workers

# Threads for layers that are made from memory or from packed paths.
_BRIEF = 4
_OWN_FILES = "a layer of an image's own files"


@dataclass(frozen=True, slots=True)
class PackingCounters:
    """Since the start of the process; ``compressed_bytes`` counts tar bytes given to the codec."""

    paths_packed: int = 0
    layers_assembled: int = 0
    compressed_bytes: int = 0


class LayerPacker:
    """Makes layers.

    The same paths give the same bytes, whatever their order, the workers and the stored layers.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        existence: BlobExistenceCache,
        workers: Workers,
        codecs: Sequence[Codec],
        store: StoreReader,
    ) -> None:
        self._codecs = tuple(codecs)
        self._storage = storage
        self._store = store
        # Images with nothing left to pack must not queue behind packing.
        self._brief = Workers(_BRIEF)
        self._writer = LayerWriter(
            storage=storage,
            workers=workers,
            brief=self._brief,
            codecs=codecs,
            store=store,
        )
        self._stored = StoredLayers(storage=storage, existence=existence)
        self._existence = existence
        self._path_flights: SingleFlight[StorePath, tuple[PackedPath, ...]] = SingleFlight()
        self._layer_flights: SingleFlight[Digest, Layer] = SingleFlight()
        self._contents_flights: SingleFlight[Digest, tuple[Layer, ...]] = SingleFlight()
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
            packed = await self._path(ordered[0])
            return in_all_codecs(
                [one.layer for one in packed],
                str(ordered[0]),
                lambda: keys.record("paths", record.path_key(self._codecs[0], ordered[0])),
            )
        return in_all_codecs(
            await gather(self._merged(codec, ordered) for codec in self._codecs),
            _several(ordered),
            lambda: keys.record("layers", record.layer_key(self._codecs[0], ordered)),
        )

    def early(self) -> AbstractAsyncContextManager[None]:
        """Pack paths of the caller's job before ``layer`` is called; see ``packing_early``."""
        return packing_early(self._store, self._path)

    async def contents_layer(self, entries: Sequence[Entry]) -> Layer:
        """Return a layer of entries in memory; missing parent directories are added, 0755.

        Raises StorageUnavailable; ValueError for entries that are not a tree.
        """
        complete, digest = await self._brief.run(_archive, entries)
        wanted = {codec: record.contents_key(codec, digest) for codec in self._codecs}
        found = [await self._stored.layer(key) for key in wanted.values()]
        layers = tuple(layer for layer in found if layer is not None)
        if len(layers) < len(wanted):
            make = partial(self._pack_entries, wanted, complete)
            layers = await self._contents_flights.run(digest, make)
        return in_all_codecs(
            layers, _OWN_FILES, lambda: keys.record("layers", wanted[self._codecs[0]])
        )

    async def has_all(self, layers: Iterable[Iterable[StorePath]]) -> bool:
        """Return whether ``layer`` would not need the store for any of these layers."""
        ordered = [_ordered(paths) for paths in layers]
        return all(await gather(self._stored.has_all(codec, ordered) for codec in self._codecs))

    async def stored(self, layers: Iterable[Iterable[StorePath]]) -> list[Layer | None]:
        """Return the layer of each in the first codec; None where one of its blobs is missing.

        Nothing is packed.
        """
        wanted = [_ordered(paths) for paths in layers]
        found = await gather(self._stored.find(codec, wanted) for codec in self._codecs)
        return [each[0] if all(each) else None for each in zip(*found, strict=True)]

    async def close(self) -> None:
        """Wait for running tasks."""
        await self._layer_flights.wait()
        await self._contents_flights.wait()
        await self._path_flights.wait()
        await self._writer.close()

    async def _merged(self, codec: Codec, paths: tuple[StorePath, ...]) -> Layer:
        key = record.layer_key(codec, paths)
        known = await self._stored.layer(key)
        return known or await self._layer_flights.run(key, partial(self._merge, codec, key, paths))

    async def _path(self, path: StorePath) -> tuple[PackedPath, ...]:
        wanted = {codec: record.path_key(codec, path) for codec in self._codecs}
        found = [self._stored.remembered(key) for key in wanted.values()]
        known = tuple(one for one in found if one is not None)
        if len(known) == len(wanted):
            return known
        return await self._path_flights.run(path, partial(self._pack_path, path, wanted))

    async def _pack_path(
        self, path: StorePath, wanted: Mapping[Codec, Digest]
    ) -> tuple[PackedPath, ...]:
        """Pack in the codecs that are not stored, from one read."""
        found = {codec: await self._stored.path(key) for codec, key in wanted.items()}
        missing = [codec for codec, packed in found.items() if packed is None]
        if missing:
            packed = await self._writer.pack_path(path, missing)
            self._count(paths_packed=1, compressed_bytes=sum(one.tar_size for one in packed))
            keys_of_missing = [wanted[codec] for codec in missing]
            settled = await gather(map(partial(self._settle_path, path), keys_of_missing, packed))
            found.update(zip(missing, settled, strict=True))
        return tuple(one for one in found.values() if one is not None)

    async def _settle_path(self, path: StorePath, key: Digest, packed: PackedPath) -> PackedPath:
        self._existence.note(packed.layer.descriptor)
        known = await self._stored.paths.settle(key, packed)
        if not await self._existence.has(known.layer.descriptor):
            raise BytesChanged(str(path), keys.record("paths", key), known.layer, packed.layer)
        return known

    async def _pack_entries(
        self, wanted: Mapping[Codec, Digest], entries: Sequence[Entry]
    ) -> tuple[Layer, ...]:
        packed, known = await self._writer.pack_entries(
            entries,
            tuple(wanted),
            lambda codec, layer: self._stored.layers.settle(wanted[codec], layer),
        )
        self._count(compressed_bytes=sum(one.tar_size for one in packed))
        layers = [one.layer for one in packed]
        return await gather(
            map(partial(self._checked, subject=_OWN_FILES), wanted.values(), layers, known)
        )

    async def _merge(self, codec: Codec, key: Digest, paths: Sequence[StorePath]) -> Layer:
        number = self._codecs.index(codec)
        parts = [packed[number] for packed in await gather(map(self._path, paths))]
        try:
            merged = await self._writer.merge(parts, codec)
        except PartUnusable:
            # Deleted since the last check, or damaged; other parts may be as well.
            await gather(self._check_again(part.layer.descriptor) for part in parts)
            parts = [packed[number] for packed in await gather(map(self._path, paths))]
            merged = await self._writer.merge(parts, codec)
        self._count(layers_assembled=1)
        known = await self._stored.layers.settle(key, merged.layer)
        return await self._checked(key, merged.layer, known, subject=_several(paths))

    async def _checked(self, key: Digest, layer: Layer, known: Layer, *, subject: str) -> Layer:
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
            # Another server may store it at this moment.
            await self._storage.delete_if(keys.blob(blob.digest), partial(is_damaged, blob))

    def _count(
        self, *, paths_packed: int = 0, layers_assembled: int = 0, compressed_bytes: int = 0
    ) -> None:
        now = self._counters
        self._counters = PackingCounters(
            now.paths_packed + paths_packed,
            now.layers_assembled + layers_assembled,
            now.compressed_bytes + compressed_bytes,
        )


def _several(paths: Sequence[StorePath]) -> str:
    return f"the layer of {paths[0]} and others"


def _ordered(paths: Iterable[StorePath]) -> tuple[StorePath, ...]:
    """Return the paths in their order in a layer."""
    return tuple(sorted(set(paths), key=lambda path: (path.name, path.base)))


@blocking
def _archive(entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], Digest]:
    complete = archive_order(entries)
    return complete, entries_digest(complete)

"""Make layer blobs and put them into storage: with threads, buffers and spool files."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    suppress,
)
from functools import partial
from itertools import starmap
from typing import BinaryIO

from app.builder.images.image import Layer
from app.builder.images.packing.blob import BlobWriter, tar_stream
from app.builder.images.packing.blocks import BlockStream, Buffers
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.entry import Entry, write_entries
from app.builder.images.packing.merge_layers import merge_layers
from app.builder.images.packing.record import PackedPath
from app.builder.images.packing.tree import TreeWriter
from app.builder.nix.closure import STORE, StorePath
from app.builder.nix.store import StoreReader, UnreadablePath, UnsupportedTree, VisitAgain
from app.errors import StoreUnreadable, Unpackable
from app.oci import Descriptor
from app.storage import keys
from app.storage.base import ObjectNotFound, Storage
from app.system import threads
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.disk import translate_disk_errors
from app.system.workers import Workers
from app.telemetry.lookups import count_stored

# Names in the archive are relative to the image's root.
_STORE = STORE.lstrip("/").encode() + b"/"
# Bytes of a blob that are read and hashed at a time.
_HASHED = 1 << 20
# Bytes for all blocks together, on any number of cores: 18 blocks of gzip, 7 of zstd.
_MEMORY = 64 << 20


class LayerWriter:
    """Writes blobs, whose bytes depend on the codecs and the input alone, not on ``workers``.

    Results are in the order of the codecs.  ``brief`` are workers for tasks that compress little,
    so that these do not wait for large paths.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        workers: Workers,
        brief: Workers,
        codecs: Sequence[Codec],
        store: StoreReader,
    ) -> None:
        self._storage = storage
        self._workers = workers
        self._brief = brief
        self._store = store
        # A path's own thread reads; the threads compress and hash its blocks in parallel.  The
        # reader helps when it is ahead, so one thread for each core would be one too many.
        block_size = max(codec.block_size for codec in codecs)
        blocks = min(2 * workers.count + 2, _MEMORY // _cost(codecs, block_size))
        at_once = min(workers.count, blocks)
        self._threads = ThreadPoolExecutor(
            max(1, at_once - 1),
            thread_name_prefix="compress",
            initializer=threads.lower_priority,
        )
        # One path leaves half of the blocks to the others.
        self._limit = blocks // 2
        self._buffers = Buffers(blocks, size=block_size)
        # Wait here for a buffer, without occupying a worker.
        self._packing = asyncio.Semaphore(at_once)
        # Bounds the files on the disk between packing and storing.
        self._spools = asyncio.Semaphore(2 * workers.count + 8)

    async def pack_path(self, path: StorePath, codecs: Sequence[Codec]) -> tuple[PackedPath, ...]:
        """Read the path once.  Raises Unpackable, StoreUnreadable, StorageUnavailable."""
        while True:
            with suppress(VisitAgain):
                return await self._pack_path(path, codecs)

    async def _pack_path(self, path: StorePath, codecs: Sequence[Codec]) -> tuple[PackedPath, ...]:
        read = partial(self._read_tree, path)
        async with AsyncExitStack() as held, _spooling() as spools:
            # A download makes room for the next one before the layer is on the disk.
            async with self._store.fetching(path):
                await held.enter_async_context(self._spools)
                async with self._packing:
                    written = await self._workers.run(self._write, codecs, read, spools)
            await gather(self._adopt(*one) for one in written)
        return tuple(packed for _, packed in written)

    async def pack_entries(
        self,
        entries: Sequence[Entry],
        codecs: Sequence[Codec],
        settle: Callable[[Codec, Layer], Coroutine[None, None, Layer]],
    ) -> tuple[tuple[PackedPath, ...], tuple[Layer, ...]]:
        """Pack and store the entries while ``settle`` runs; return both results.

        Raises ValueError for entries that are not a tree.
        """
        read = partial(self._read_entries, entries)
        async with _spooling() as spools:
            written = await self._brief.run(self._write, codecs, read, spools)
            packed = tuple(packed for _, packed in written)
            layers = zip(codecs, (one.layer for one in packed), strict=True)
            stored = [self._adopt(*one) for one in written]
            found = await gather((*stored, *starmap(settle, layers)))
        return packed, found[len(packed) :]

    async def merge(self, parts: Sequence[PackedPath], codec: Codec) -> PackedPath:
        """Make a layer in one codec from parts in the same one.  Raises PartUnusable."""
        read = partial(self._read_parts, parts)
        async with _spooling() as spools:
            [(file, packed)] = await self._brief.run(self._write, (codec,), read, spools)
            await self._adopt(file, packed)
        return packed

    async def is_whole(self, blob: Descriptor) -> bool:
        """Return whether the stored bytes have the blob's digest."""
        return await self._brief.run(self._check, blob)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _adopt(self, file: BinaryIO, packed: PackedPath) -> Layer:
        blob = packed.layer.descriptor
        await self._storage.adopt(keys.blob(blob.digest), file)
        count_stored("layers", blob.size)
        return packed.layer

    @blocking
    def _write(
        self, codecs: Sequence[Codec], read: Callable[[BlobWriter], None], spools: list[BinaryIO]
    ) -> tuple[tuple[BinaryIO, PackedPath], ...]:
        spools.extend(self._storage.spool() for _ in codecs)
        blob = BlobWriter(tuple(zip(codecs, spools, strict=True)))
        read(blob)
        return tuple(zip(spools, blob.finish(), strict=True))

    @blocking
    def _read_tree(self, path: StorePath, blob: BlobWriter) -> None:
        with self._stream(blob) as stream:
            try:
                self._store.visit(path, TreeWriter(stream, _STORE))
            except VisitAgain:
                raise
            except UnsupportedTree as error:
                raise Unpackable(str(path), str(error)) from None
            except UnreadablePath as error:
                raise StoreUnreadable(str(path), str(error)) from error

    @blocking
    def _read_entries(self, entries: Sequence[Entry], blob: BlobWriter) -> None:
        with self._stream(blob) as stream:
            write_entries(stream, entries)

    @blocking
    def _read_parts(self, parts: Sequence[PackedPath], blob: BlobWriter) -> None:

        def opened() -> Iterator[tuple[BinaryIO, PackedPath]]:
            for part in parts:
                with self._storage.open(keys.blob(part.layer.descriptor.digest)) as file:
                    yield file, part

        merge_layers(
            blob,
            opened(),
            threads=self._threads,
            limit=self._limit,
            buffers=self._buffers,
        )

    @blocking
    def _check(self, blob: Descriptor) -> bool:
        try:
            with self._storage.open(keys.blob(blob.digest)) as file:
                return not is_damaged(blob, file)
        except ObjectNotFound:
            return False

    def _stream(self, blob: BlobWriter) -> AbstractContextManager[BlockStream]:
        return tar_stream(
            blob,
            threads=self._threads,
            limit=self._limit,
            buffers=self._buffers,
        )


@blocking
def is_damaged(blob: Descriptor, file: BinaryIO | None) -> bool:
    """Return whether a file, None for an unreadable one, has other bytes than the blob."""
    found = hashlib.sha256()
    try:
        while part := file.read(_HASHED) if file else b"":
            found.update(part)
            threads.check()
    except OSError:
        return True
    return found.hexdigest() != blob.digest.hex


def _cost(codecs: Sequence[Codec], block_size: int) -> int:
    """Return the memory for a buffer while all of its parts are compressed in all codecs."""
    return block_size + sum(
        block_size // codec.block_size * (codec.block_cost - codec.block_size) for codec in codecs
    )


@asynccontextmanager
async def _spooling() -> AsyncIterator[list[BinaryIO]]:
    """Close the spool files that were not stored, by a thread: that waits for the disk."""
    spools: list[BinaryIO] = []
    with translate_disk_errors():
        try:
            yield spools
        finally:
            if not all(file.closed for file in spools):
                await threads.finish(partial(_close, spools))


@blocking
def _close(files: Sequence[BinaryIO]) -> None:
    with ExitStack() as all_of_them:
        for file in files:
            all_of_them.callback(file.close)

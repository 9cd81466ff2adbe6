"""Decompress, check and pack the archives of a channel from the disk."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.binary_cache.narinfo import Substitute, parse_substitute
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.substitution.decoding import decoder
from app.builder.nix.substitution.verifying import VerifiedArchive
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.system.workers import Workers
from tests.nar_store import Archive, NarStore


def packing(directory: Path, scratch: Path) -> tuple[float, float]:
    """Return how long packing the archives from the disk takes, and its CPU time."""
    narinfos: dict[StorePath, Substitute] = {}
    for file in directory.glob("*.narinfo"):
        text = file.read_bytes()
        path = StorePath.parse(text.split(b"\n", 1)[0].removeprefix(b"StorePath: ").decode())
        narinfos[path] = parse_substitute(text, path)

    @contextmanager
    def opened(path: StorePath) -> Iterator[Archive]:
        narinfo = narinfos[path]
        with (directory / narinfo.url).open("rb") as file:
            source = decoder(narinfo.compression, file.read)
            verified = VerifiedArchive(source, size=narinfo.nar_size, digest=narinfo.nar_hash)
            yield Archive(verified, narinfo.nar_size + 1)

    async def query(_: object) -> Closure:
        return Closure(())

    async def pack() -> None:
        storage = FilesystemStorage(scratch)
        await storage.start()
        packer = LayerPacker(
            storage=storage,
            existence=BlobExistenceCache(storage),
            workers=Workers(os.cpu_count() or 1),
            codecs=codec.find_all("gzip"),
            store=NarStore(opened, query=query),
        )
        await asyncio.gather(*(packer.layer([path]) for path in narinfos))
        await packer.close()

    before, begun = _cpu(), time.perf_counter()
    asyncio.run(pack())
    return time.perf_counter() - begun, _cpu() - before


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

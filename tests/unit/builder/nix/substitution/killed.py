"""Packs a path from a binary cache, for a test that kills it: URL KEY DIRECTORY PATH."""

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import StorePath
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.system.workers import Workers
from tests.unit.builder.nix.substitution.world import World


async def pack(world: World, storage: FilesystemStorage, *roots: StorePath) -> list[str]:
    """Return the diff IDs of the closure's paths, in their order."""
    await storage.start()
    packer = LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all("gzip"),
        store=world.store,
    )
    try:
        async with packer.early():
            found = await world.find(*roots)
            layers = [await packer.layer([path]) for path in sorted(found.offers)]
    finally:
        await packer.close()
    return [layer.diff_id.hex for layer in layers]


def main(url: str, key: str, directory: str, path: str) -> None:
    with ExitStack() as stack:
        world = World(Path(directory), [], keys=[key])
        world.open(stack)
        world.caches.urls = [url]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        asyncio.run(
            pack(world, FilesystemStorage(Path(directory, "storage")), StorePath.parse(path))
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A process that stores until it is killed, and one that races with others."""

import asyncio
import json
import os
import random
import sys
from itertools import count
from pathlib import Path

from app.oci import Digest
from app.storage import keys, spool
from app.storage.blobs import BlobStore
from app.storage.filesystem import FilesystemStorage


async def until_killed(storage: FilesystemStorage, name: str) -> None:
    """Store blobs of random bytes, and records that begin with their length."""
    blobs = BlobStore(storage)
    for number in count():
        layer = random.randbytes(random.randrange(2_000_000))
        with storage.spool() as file:
            file.write(layer)
            await storage.adopt(keys.blob(Digest.of(layer)), file)
        await blobs.write_manifest(layer[:5000])
        text = f"{name} {number} ".encode() * random.randrange(1, 20_000)
        await storage.write(f"records/{name}", b"%d\n" % len(text) + text)
        if number == 0:
            sys.stdout.write("storing\n")
            sys.stdout.flush()


async def race(storage: FilesystemStorage, name: str) -> None:
    """Create the records and adopt the layers that all processes do; print the winners."""
    won = []
    for number in range(40):
        key = f"records/{number}"
        won.append((await storage.create(key, f"{name} was first".encode())).decode())
        layer = b"%d" % number * 30_000
        with storage.spool() as file:
            file.write(layer)
            await storage.adopt(keys.blob(Digest.of(layer)), file)
        await storage.write("records/last", f"{name} was last".encode() * 3000)
    json.dump(won, sys.stdout)


async def main(root: str, task: str, spool_name: str) -> None:
    storage = FilesystemStorage(Path(root))
    await storage.start()
    storage._publisher._new_spool = {"unnamed": spool.unnamed, "named": spool.named}[spool_name]
    await {"until killed": until_killed, "race": race}[task](storage, str(os.getpid()))


asyncio.run(main(*sys.argv[1:]))

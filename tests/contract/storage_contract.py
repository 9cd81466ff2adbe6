"""The promises of app.storage.base.Storage, as a class of tests for every backend.

A backend is held to them in three lines::

    class TestMemory(StorageContract):
        def new(self, directory: Path) -> Storage:
            return MemoryStorage()
"""

import asyncio
import hashlib
import io
import os
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
import requests

from app.oci import Digest
from app.storage import keys
from app.storage.base import Content, LocalFile, Location, ObjectNotFound, RemoteUrl, Storage

RECORD = "builds/0"
LARGE = bytes(range(256)) * 20_000
KEY = keys.blob(Digest.of(LARGE))


def fetch(location: Location) -> bytes:
    match location:
        case LocalFile(path, _, file):
            with file or path.open("rb") as opened:
                return opened.read()
        case Content():
            return location.body
        case RemoteUrl():
            return requests.get(location.url, timeout=300).content


class StorageContract(ABC):
    """Subclass it in a test module, with a name that starts with ``Test``."""

    @abstractmethod
    def new(self, directory: Path) -> Storage:
        """Return an empty storage that has not been started; it may use the directory."""

    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        storage = self.new(tmp_path / "storage")
        await storage.start()
        yield storage
        await storage.close()

    async def test_a_written_object_is_read_back(self, storage: Storage) -> None:
        await storage.write(RECORD, b"body")

        assert await storage.read(RECORD) == b"body"
        assert await storage.size(RECORD) == 4
        location = await storage.locate(RECORD)
        assert (location.size, fetch(location)) == (4, b"body")
        with storage.open(RECORD) as stream:
            stream.seek(2)
            assert stream.read() == b"dy"

    async def test_an_empty_object_is_an_object(self, storage: Storage) -> None:
        await storage.write(RECORD, b"")

        assert await storage.size(RECORD) == 0
        assert await storage.read(RECORD) == b""

    @pytest.mark.parametrize("key", ["absent", "blobs", "blobs/sha256", f"{KEY}/below", f"{KEY}0"])
    async def test_an_absent_object_is_not_found(self, storage: Storage, key: str) -> None:
        await storage.write(KEY, b"body")

        for look in (storage.size, storage.read, storage.locate):
            with pytest.raises(ObjectNotFound):
                await look(key)
        with pytest.raises(ObjectNotFound):
            storage.open(key)
        await storage.delete(key)

    @pytest.mark.parametrize("count", [0, 1, 3, 100])
    async def test_many_objects_are_looked_at_together_in_order(
        self, storage: Storage, count: int
    ) -> None:
        bodies: list[bytes | None] = [
            None if number % 3 == 1 else b"x" * number for number in range(count)
        ]
        for number, body in enumerate(bodies):
            if body is not None:
                await storage.write(f"builds/{number}", body)
        asked = [f"builds/{number}" for number in range(count)]

        assert await storage.read_each(asked) == bodies
        assert await storage.sizes(asked) == [
            None if body is None else len(body) for body in bodies
        ]

    async def test_a_second_write_replaces_the_object(self, storage: Storage) -> None:
        await storage.write(RECORD, LARGE)
        await storage.write(RECORD, b"short")

        assert await storage.read(RECORD) == b"short"

    async def test_an_open_object_outlives_its_replacement_and_its_deletion(
        self, storage: Storage
    ) -> None:
        await storage.write(RECORD, LARGE)

        with storage.open(RECORD) as stream:
            start = stream.read(1000)
            await storage.write(RECORD, b"short")
            await storage.delete(RECORD)
            rest = stream.read()

        assert start + rest == LARGE

    async def test_create_keeps_the_first_and_returns_it(self, storage: Storage) -> None:
        assert await storage.create(RECORD, b"first") == b"first"
        assert await storage.create(RECORD, b"second") == b"first"
        assert await storage.read(RECORD) == b"first"

    async def test_concurrent_creators_see_one_winner(self, storage: Storage) -> None:
        seen: list[bytes] = []

        async def create(number: int) -> None:
            seen.append(await storage.create(RECORD, b"creator %d" % number))

        async with anyio.create_task_group() as group:
            for number in range(24):
                group.start_soon(create, number)

        assert len(seen) == 24
        assert set(seen) == {await storage.read(RECORD)}

    async def test_a_spool_file_is_adopted_whole_wherever_its_position(
        self, storage: Storage
    ) -> None:
        with storage.spool() as file:
            file.write(LARGE)
            file.seek(7)
            await storage.adopt(KEY, file)
            assert file.closed

        assert await storage.read(KEY) == LARGE

    async def test_an_empty_spool_file_is_adopted(self, storage: Storage) -> None:
        with storage.spool() as file:
            await storage.adopt(KEY, file)

        assert await storage.size(KEY) == 0

    async def test_a_spool_file_can_be_read_back_before_it_is_adopted(
        self, storage: Storage
    ) -> None:
        with storage.spool() as file:
            file.write(LARGE)
            file.seek(0)
            digest = Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]  # typeshed asks for readinto of a protocol BinaryIO lacks
            await storage.adopt(KEY, file)

        assert digest == Digest.of(await storage.read(KEY))

    async def test_adopting_leaves_an_object_of_the_same_size(self, storage: Storage) -> None:
        for body in (b"first", b"other"):
            with storage.spool() as file:
                file.write(body)
                await storage.adopt(KEY, file)

        assert await storage.read(KEY) == b"first"

    async def test_adopting_replaces_an_object_of_another_size(self, storage: Storage) -> None:
        await storage.write(KEY, LARGE[:1000])

        with storage.spool() as file:
            file.write(LARGE)
            await storage.adopt(KEY, file)

        assert await storage.read(KEY) == LARGE

    async def test_a_file_that_is_not_a_spool_file_is_adopted_by_copy(
        self, storage: Storage
    ) -> None:
        with tempfile.TemporaryFile() as file, os.fdopen(os.dup(file.fileno()), "r+b") as other:
            file.write(LARGE)
            await storage.adopt(KEY, file)
            other.seek(0)
            other.write(b"changed afterwards")
            other.flush()

        assert await storage.read(KEY) == LARGE

    async def test_an_adopted_file_is_not_read_on_the_event_loop(self, storage: Storage) -> None:
        readers = set()

        class Watched(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                readers.add(threading.get_ident())
                return super().read(size)

        await storage.adopt(KEY, Watched(LARGE))

        assert await storage.read(KEY) == LARGE
        assert readers
        assert threading.get_ident() not in readers

    async def test_a_spool_file_that_is_not_adopted_leaves_no_object(
        self, storage: Storage
    ) -> None:
        with storage.spool() as file:
            file.write(LARGE)

        assert await storage.keys("") == []

    async def test_delete_removes_and_may_be_repeated(self, storage: Storage) -> None:
        await storage.write(RECORD, b"body")

        await storage.delete(RECORD)
        await storage.delete(RECORD)

        with pytest.raises(ObjectNotFound):
            await storage.size(RECORD)
        assert await storage.create(RECORD, b"again") == b"again"

    async def test_an_object_is_deleted_if_it_is_useless(self, storage: Storage) -> None:
        await storage.write(RECORD, b"damaged")
        read: list[bytes] = []

        def is_useless(file: BinaryIO | None) -> bool:
            assert file is not None
            read.append(file.read())
            return len(read) > 1

        assert not await storage.delete_if(RECORD, is_useless)
        assert await storage.read(RECORD) == b"damaged"
        assert await storage.delete_if(RECORD, is_useless)
        assert await storage.keys("") == []
        assert not await storage.delete_if(RECORD, is_useless)
        assert read == [b"damaged"] * 2

    async def test_an_object_that_was_stored_since_it_was_read_is_not_deleted(
        self, storage: Storage
    ) -> None:
        await storage.write(RECORD, b"damaged")
        loop = asyncio.get_running_loop()

        def replaced(_: BinaryIO | None) -> bool:
            asyncio.run_coroutine_threadsafe(storage.write(RECORD, b"whole"), loop).result()
            return True

        assert not await storage.delete_if(RECORD, replaced)

        assert await storage.read(RECORD) == b"whole"

    async def test_keys_are_listed_by_prefix_and_sorted(self, storage: Storage) -> None:
        for key in ("builds/b", "builds/a", "builds-old/c", "blobs/sha256/d", "top"):
            await storage.write(key, b"")

        assert await storage.keys("") == [
            "blobs/sha256/d", "builds-old/c", "builds/a", "builds/b", "top",
        ]  # fmt: skip
        assert await storage.keys("builds/") == ["builds/a", "builds/b"]
        assert await storage.keys("builds") == ["builds-old/c", "builds/a", "builds/b"]
        assert await storage.keys("builds/a") == ["builds/a"]
        assert await storage.keys("layers/") == []

    @pytest.mark.parametrize(
        "key",
        ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", ".staging/x", "a/.b",
         "a\0b", "a\n", "A", "ä", "a b", "a\\b", "a" * 129, "/".join("a" * 9)],
    )  # fmt: skip
    async def test_an_invalid_key_is_rejected_by_every_method(
        self, storage: Storage, key: str
    ) -> None:
        with storage.spool() as file:
            for attempt in (
                lambda: storage.size(key),
                lambda: storage.read(key),
                lambda: storage.sizes([RECORD, key]),
                lambda: storage.read_each([RECORD, key]),
                lambda: storage.locate(key),
                lambda: storage.write(key, b""),
                lambda: storage.create(key, b""),
                lambda: storage.adopt(key, file),
                lambda: storage.delete(key),
                lambda: storage.delete_if(key, bool),
            ):
                with pytest.raises(ValueError):
                    await attempt()
        with pytest.raises(ValueError):
            storage.open(key)

    @pytest.mark.parametrize("prefix", ["/", "..", "../", ".staging/", "a//", "*"])
    async def test_an_invalid_prefix_is_rejected(self, storage: Storage, prefix: str) -> None:
        with pytest.raises(ValueError):
            await storage.keys(prefix)

    async def test_a_check_leaves_no_object(self, storage: Storage) -> None:
        await storage.check()

        assert await storage.keys("") == []

    async def test_a_second_start_keeps_stored_objects(self, storage: Storage) -> None:
        await storage.write(RECORD, b"body")

        await storage.start()

        assert await storage.read(RECORD) == b"body"

    async def test_an_object_can_be_stored_again_after_each_deletion(
        self, storage: Storage
    ) -> None:
        for number in range(3):
            body = b"body %d" % number
            assert await storage.create(RECORD, body) == body
            with storage.spool() as file:
                file.write(body)
                await storage.adopt(KEY, file)
            assert await storage.read_each([RECORD, KEY]) == [body, body]
            for key in (RECORD, KEY):
                await storage.delete(key)
            assert await storage.sizes([RECORD, KEY]) == [None, None]

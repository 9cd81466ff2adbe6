import json
from dataclasses import dataclass

import pytest
from loguru import logger
from pydantic import TypeAdapter

from app.oci import Digest
from app.storage import keys
from app.storage.memory import MemoryStorage
from app.storage.records.envelope import Damaged, unseal
from app.storage.records.kind import Kind, key_of
from app.storage.records.records import Records


@dataclass(frozen=True, slots=True)
class Value:
    number: int
    blobs: tuple[Digest, ...] = ()


BLOBS = (Digest.of(b"z"), Digest.of(b"a"))
VALUE = Value(3, BLOBS)
KIND = Kind(
    name="builds", format=1, adapter=TypeAdapter(Value), references=lambda value: value.blobs
)
KEY = KIND.key(x=1)
STORED = keys.record("builds", KEY)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def records(storage: MemoryStorage) -> Records[Value]:
    return Records(storage=storage, kind=KIND)


async def test_a_record_is_read_back(records: Records[Value]) -> None:
    await records.write(KEY, VALUE)

    assert await records.read(KEY) == VALUE
    assert await records.read_each([KIND.key(x=2), KEY]) == [None, VALUE]


async def test_an_absent_record_is_a_miss(records: Records[Value]) -> None:
    assert await records.read(KEY) is None


async def test_a_record_names_its_kind_format_key_and_references(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    await records.write(KEY, VALUE)

    head = unseal(await storage.read(STORED)).head

    assert (head.kind, head.format, head.key) == ("builds", 1, KEY)
    assert head.references == tuple(sorted(BLOBS))


@pytest.mark.slow
async def test_every_changed_missing_or_added_byte_is_damage(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    await records.write(KEY, VALUE)
    body = await storage.read(STORED)
    changed = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(len(body))]
    cut = [body[:at] for at in range(len(body))]

    for damaged in (*changed, *cut, body + b" ", body + b"\n", b" " + body):
        with pytest.raises(Damaged):
            unseal(damaged)
        await storage.write(STORED, damaged)
        assert await records.read(KEY) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"value": "3"}', b"\xff", bytes(9), b"[" * 100_000, b"\n"]
)
async def test_foreign_bytes_are_a_miss(
    body: bytes, storage: MemoryStorage, records: Records[Value]
) -> None:
    await storage.write(STORED, body)

    assert await records.read(KEY) is None


async def test_a_record_copied_to_another_key_or_kind_is_damage(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    await records.write(KEY, VALUE)
    body = await storage.read(STORED)
    other = KIND.key(x=2)
    await storage.write(keys.record("builds", other), body)
    await storage.write(keys.record("layers", KEY), body)
    layers = Kind(name="layers", format=1, adapter=TypeAdapter(Value))

    assert await records.read(other) is None
    assert await Records(storage=storage, kind=layers).read(KEY) is None


async def test_a_record_of_another_format_is_a_miss(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    later = Kind(name="builds", format=2, adapter=TypeAdapter(Value))
    assert later.key(x=1) != KEY
    await Records(storage=storage, kind=later).write(KEY, VALUE)

    assert await records.read(KEY) is None


async def test_a_sealed_value_of_another_type_is_a_miss(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    texts: Kind[dict[str, str]] = Kind(name="builds", format=1, adapter=TypeAdapter(dict[str, str]))
    await Records(storage=storage, kind=texts).write(KEY, {"number": "3"})

    assert await records.read(KEY) is None


async def test_damage_is_logged_once_and_made_good_by_the_next_write(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    logged: list[str] = []
    sink = logger.add(logged.append)
    await records.write(KEY, VALUE)
    for _ in range(2):
        await storage.write(STORED, b"damage")
        for _ in range(3):
            assert await records.read(KEY) is None
        assert await records.create(KEY, VALUE) == VALUE
        await records.write(KEY, VALUE)
        assert await records.read(KEY) == VALUE

    logger.remove(sink)
    assert len(logged) == 2
    assert all("a stored record is damaged" in line for line in logged)


async def test_the_first_valid_record_wins(storage: MemoryStorage, records: Records[Value]) -> None:
    assert await records.create(KEY, VALUE) == VALUE
    assert await records.create(KEY, Value(4)) == VALUE
    await storage.write(STORED, b"damage")
    assert await records.create(KEY, Value(4)) == Value(4)
    assert await records.read(KEY) == Value(4)


async def test_the_value_is_json_that_people_can_read(
    storage: MemoryStorage, records: Records[Value]
) -> None:
    await records.write(KEY, VALUE)

    first, second = (await storage.read(STORED)).splitlines()

    assert json.loads(first)["kind"] == "builds"
    assert json.loads(second) == {"number": 3, "blobs": [str(blob) for blob in BLOBS]}


def test_keys_do_not_depend_on_the_order_of_fields_and_do_on_values() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"packages": ["ab", "c"]}) != key_of({"packages": ["a", "bc"]})
    layers = Kind(name="layers", format=1, adapter=TypeAdapter(Value))
    assert layers.key(x=1) != KEY

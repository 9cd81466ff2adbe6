import pytest

from app.builder.records.records import Records, key_of
from app.oci import Digest
from app.storage import keys
from app.storage.memory import MemoryStorage

KEY = key_of({"x": 1})


def parse(document: dict[str, object]) -> int:
    value = document["value"]
    if not isinstance(value, int):
        raise TypeError(value)
    return value


async def test_a_record_is_read_back() -> None:
    records = Records(storage=MemoryStorage(), kind="builds")
    await records.write(KEY, {"value": 3})

    assert await records.read(KEY, parse) == 3


async def test_an_absent_record_is_a_miss() -> None:
    assert await Records(storage=MemoryStorage(), kind="builds").read(KEY, parse) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"value": "3"}', b"\xff", bytes(9), b"[" * 100_000]
)
async def test_a_damaged_record_or_one_of_another_version_is_a_miss(body: bytes) -> None:
    storage = MemoryStorage()
    await storage.write(keys.record("builds", KEY), body)

    assert await Records(storage=storage, kind="builds").read(KEY, parse) is None


def test_keys_do_not_depend_on_the_order_of_fields_and_do_on_values() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"packages": ["ab", "c"]}) != key_of({"packages": ["a", "bc"]})
    assert isinstance(KEY, Digest)

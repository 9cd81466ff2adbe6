"""Records of other versions are distinguished from damaged ones."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from app.oci import Digest, canonical_json
from app.storage.records.envelope import Damaged, head_of, seal
from app.storage.records.kind import Kind
from app.storage.records.version import RecordVersion, record_version

KIND = Kind(name="builds", format=3, adapter=TypeAdapter(dict[str, int]))
KEY = KIND.key(x=1)
# As versions before the first sealed record wrote them.
UNSEALED = canonical_json({"digest": str(Digest.of(b"layer")), "size": 7})


def sealed(form: int, value: bytes = b'{"size":7}') -> bytes:
    return seal(head_of("builds", form, KEY, ()), value)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (sealed(3), RecordVersion.CURRENT),
        (sealed(2, b"[]"), RecordVersion.EARLIER),
        (UNSEALED, RecordVersion.EARLIER),
        (sealed(4, b"[]"), RecordVersion.LATER),
    ],
)
def test_a_whole_record_has_the_version_that_wrote_it(body: bytes, version: RecordVersion) -> None:
    assert record_version(KIND, KEY, body) is version


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b"[" * 100_000,
        UNSEALED[:-1],
        UNSEALED + b" ",
        sealed(2)[:-1],
        sealed(2).partition(b"\n")[0],
        sealed(3, b"[]"),
        seal(head_of("layers", 2, KEY, ()), b"{}"),
    ],
)
def test_other_bytes_are_damaged(body: bytes) -> None:
    with pytest.raises(Damaged):
        record_version(KIND, KEY, body)


def test_a_key_has_the_format() -> None:
    assert replace(KIND, format=2).key(x=1) != KEY

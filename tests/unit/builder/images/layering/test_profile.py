import json
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.layering.profile import (
    LayerProfile,
    ProfileEntry,
    ProfileInvalid,
    parse_profile,
)

ENTRIES = st.dictionaries(
    st.text(min_size=1, max_size=30),
    st.builds(ProfileEntry, st.none() | st.integers(0, 10**6), st.integers(1, 10**6)),
    max_size=20,
)


@pytest.mark.slow
@given(st.integers(1, 10**6), ENTRIES)
def test_writing_and_reading_a_plan_are_inverse(
    packages: int, entries: dict[str, ProfileEntry]
) -> None:
    plan = LayerProfile(packages, entries)

    read = parse_profile(plan.to_json())

    assert read == plan
    assert read.entries == plan.entries
    assert read.packages == plan.packages


def test_a_profile_is_identified_by_its_content() -> None:
    tidy = LayerProfile(9, {"a": ProfileEntry(1, 2), "b": ProfileEntry(None, 3)})
    untidy = (
        b'{ "names": {"b": [null, 3],\n "a": [1, 2]}, "packages": 9, "format": "nixery-plan-1" }'
    )

    assert parse_profile(untidy).identity == tidy.identity
    assert LayerProfile(9, {"a": ProfileEntry(1, 2)}).identity != tidy.identity
    assert LayerProfile(8, tidy.entries).identity != tidy.identity


def test_popularity_data_is_matched_by_name_without_version() -> None:
    plan = parse_profile(
        b'{"glibc-2.35-224":300,"glibc-2.34":20,"openssl-3.0.8-bin":7,"format-1":2}'
    )

    assert plan.entries == {
        "glibc": ProfileEntry(None, 320),
        "openssl-bin": ProfileEntry(None, 7),
        "format": ProfileEntry(None, 2),
    }
    assert plan.packages == 320


def test_a_package_called_format_does_not_make_popularity_data_a_plan() -> None:
    assert parse_profile(b'{"format":4}').entries == {"format": ProfileEntry(None, 4)}


def test_popularity_data_may_be_empty() -> None:
    assert parse_profile(b"{}").entries == {}


def _plan(**changes: object) -> bytes:
    document = {"format": "nixery-plan-1", "packages": 9, "names": {"a": [1, 2]}} | changes
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "dictionary"),
        (b"null", "dictionary"),
        (b'{"glibc-2.35":"many"}', "glibc-2.35"),
        (b'{"glibc-2.35":0}', "glibc-2.35"),
        (b'{"glibc-2.35":1.5}', "glibc-2.35"),
        (b'{"glibc-2.35":true}', "glibc-2.35"),
        (b'{"":2}', "at least 1 character"),
        (_plan(format="nixery-plan-2"), "format"),
        (_plan(packages=0), "packages"),
        (_plan(names={"a": [1]}), "names.a"),
        (_plan(names={"a": [1, 2, 3]}), "names.a"),
        (_plan(names={"a": ["1", 2]}), "names.a"),
        (_plan(names={"a": [-1, 2]}), "names.a"),
        (_plan(names={"a": [1, 0]}), "names.a"),
        (_plan(surprise=1), "surprise"),
    ],
)
def test_an_invalid_profile_is_refused_with_the_place_of_the_error(
    document: bytes, complaint: str
) -> None:
    with pytest.raises(ProfileInvalid, match=complaint):
        parse_profile(document)


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07\x1b[31m\u202eevil", "x" * 1_000_000])
def test_a_message_has_a_short_printable_place(name: str) -> None:
    for document in (
        json.dumps({name: 0}).encode(),
        _plan(names={name: [1, 0]}),
        _plan(**{name: 1}),
    ):
        with pytest.raises(ProfileInvalid) as refused:
            parse_profile(document)

        assert len(str(refused.value)) < 500
        assert str(refused.value).isprintable()


@pytest.mark.slow
def test_a_profile_as_large_as_that_of_nixpkgs_takes_little_memory() -> None:
    random = Random(1)
    names = {
        f"{random.randbytes(random.randrange(3, 15)).hex()}-{number}": ProfileEntry(
            random.randrange(4000) if number % 5 < 2 else None,
            min(100_000, int(random.paretovariate(1))),
        )
        for number in range(100_000)
    }
    document = LayerProfile(100_000, names).to_json()
    tracemalloc.start()

    read = parse_profile(document)

    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read.entries == names
    assert len(document) < 5_000_000
    assert kept < 16 << 20
    assert peak < 56 << 20

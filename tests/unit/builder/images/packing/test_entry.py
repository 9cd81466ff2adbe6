from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.packing.entry import (
    Directory,
    Entry,
    File,
    Symlink,
    archive_order,
    entries_digest,
)

texts = st.binary(max_size=4)
numbers = st.integers(0, 3)
entries = st.lists(
    st.one_of(
        st.builds(Directory, texts, numbers, numbers, numbers),
        st.builds(File, texts, texts, numbers, numbers, numbers),
        st.builds(Symlink, texts, texts),
    ),
    max_size=3,
)


@pytest.mark.slow
@given(entries, entries)
def test_entries_have_one_digest_only_if_they_are_the_same(
    one: list[Entry], other: list[Entry]
) -> None:
    assert (entries_digest(one) == entries_digest(other)) == (one == other)


def test_the_end_of_a_name_is_part_of_the_digest() -> None:
    file = File(b"ab", b"c")

    moved = replace(file, name=b"a", content=b"bc")

    assert entries_digest([file]) != entries_digest([moved])


def test_directories_above_store_paths_are_left_out_since_every_layer_has_them() -> None:
    ordered = archive_order([Directory(b"nix"), Symlink(b"nix/bin/x", b"../store/x")])

    assert [entry.name for entry in ordered] == [b"nix/bin", b"nix/bin/x"]

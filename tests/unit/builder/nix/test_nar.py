"""The parser of Nix archives accepts what Nix writes, and nothing else."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.nar import InvalidArchive, encode, visit_archive
from app.builder.nix.store import DEEPEST_DIRECTORY, UnsupportedTree
from tests.archives import TreeReader, archive_of
from tests.unit.builder.images.packing.test_tree import trees
from tests.unit.builder.images.packing.trees import PROGRAM, Node

BEGIN = encode(b"nix-archive-1")
SAMPLE: Node = {
    b"b": {PROGRAM: b"#!/bin/sh\n", b"x": b"12345678", b"y": b""},
    b"c": (b"target",),
    b"d": {},
    b"e": b"text" * 30_000,
}


class Slow:
    """A source that returns few bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def readinto(self, buffer: memoryview, /) -> int:
        return self._content.readinto(buffer[: self._step])


def read(archive: bytes, *, step: int = 1 << 20, limit: int | None = None) -> TreeReader:
    reader = TreeReader()
    visit_archive(
        Slow(archive, step), b"top", reader, limit=len(archive) if limit is None else limit
    )
    return reader


def is_accepted_as(archive: bytes) -> Node | None:
    try:
        return read(archive).root
    except InvalidArchive:
        return None


def directory(*entries: tuple[bytes, bytes]) -> bytes:
    """An archive of a directory with these names and encoded nodes."""
    body = b"".join(
        encode(b"entry", b"(", b"name", name, b"node") + node + encode(b")")
        for name, node in entries
    )
    return BEGIN + encode(b"(", b"type", b"directory") + body + encode(b")")


FILE = encode(b"(", b"type", b"regular", b"contents", b"x", b")")


@pytest.mark.slow
@given(trees, st.integers(1, 100))
def test_any_tree_is_read_whatever_the_chunks(tree: Node, step: int) -> None:
    assert read(archive_of(tree), step=step).root == tree


@pytest.mark.slow
@given(trees, st.data())
def test_a_changed_archive_is_refused_or_is_the_one_archive_of_another_tree(
    tree: Node, data: st.DataObject
) -> None:
    archive = bytearray(archive_of(tree))
    place = data.draw(st.integers(0, len(archive) - 1))
    archive[place] ^= data.draw(st.integers(1, 255))

    found = is_accepted_as(bytes(archive))

    assert found is None or archive_of(found) == archive


@pytest.mark.slow
@given(trees, st.data())
def test_a_part_of_an_archive_is_refused(tree: Node, data: st.DataObject) -> None:
    archive = archive_of(tree)
    size = data.draw(st.integers(0, len(archive) - 1))

    with pytest.raises(InvalidArchive):
        read(archive[:size])


@pytest.mark.slow
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidArchive):
        read(content)
    with pytest.raises(InvalidArchive):
        read(encode(b"nix-archive-1", b"(", b"type") + content)


@pytest.mark.parametrize("after", [b"\0", bytes(8), archive_of({})])
def test_bytes_after_the_end_are_refused(after: bytes) -> None:
    with pytest.raises(InvalidArchive, match="after the end"):
        read(archive_of(SAMPLE) + after)


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"a/b", b"/", b"a\0", b"n" * 256], ids=lambda name: repr(name[:9])
)
def test_names_that_are_not_names_are_refused(name: bytes) -> None:
    with pytest.raises(InvalidArchive, match=r"name|string"):
        read(directory((name, FILE)))


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"\xff", b"a"), (b"ab", b"a")])
def test_names_out_of_order_are_refused(names: tuple[bytes, bytes]) -> None:
    with pytest.raises(InvalidArchive, match="out of order"):
        read(directory(*((name, FILE) for name in names)))


def test_names_of_255_bytes_are_accepted() -> None:
    assert read(directory((b"n" * 255, FILE))).root == {b"n" * 255: b"x"}


@pytest.mark.parametrize("target", [b"", b"a\0b", b"t" * 4096])
def test_targets_that_are_not_targets_are_refused(target: bytes) -> None:
    with pytest.raises(InvalidArchive, match=r"target|string"):
        read(BEGIN + encode(b"(", b"type", b"symlink", b"target", target, b")"))


def test_a_target_of_4095_bytes_is_accepted() -> None:
    target = b"t" * 4095

    assert read(archive_of((target,))).root == (target,)


@pytest.mark.parametrize(
    "node",
    [
        (b"(", b"type", b"fifo", b")"),
        (b"(", b"type", b"regular", b"contents", b"x", b"executable", b"", b")"),
        (b"(", b"type", b"regular", b"executable", b"yes", b"contents", b"x", b")"),
        (b"(", b"type", b"regular", b")"),
        (b"(", b"type", b"symlink", b")"),
        (b"(", b"type", b"directory", b"entry", b"(", b"name", b"a", b")", b")"),
        (b"(", b")"),
        (b"(", b"contents", b"x", b"type", b"regular", b")"),
    ],
)
def test_other_forms_are_refused(node: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidArchive):
        read(BEGIN + encode(*node))


@pytest.mark.parametrize("place", [13, 14, 15])
def test_padding_that_is_not_zero_is_refused(place: int) -> None:
    archive = bytearray(
        directory((b"a", encode(b"(", b"type", b"regular", b"contents", b"12345", b")")))
    )
    archive[archive.index(b"12345") + place - 8] = 1

    with pytest.raises(InvalidArchive, match="padding"):
        read(bytes(archive))


def nested(depth: int) -> bytes:
    below = encode(b"(", b"type", b"directory", b")")
    for _ in range(depth - 1):
        entry = encode(b"entry", b"(", b"name", b"d", b"node") + below + encode(b")")
        below = encode(b"(", b"type", b"directory") + entry + encode(b")")
    return BEGIN + below


@pytest.mark.slow
def test_directories_are_as_deep_as_those_of_a_disk_and_no_deeper() -> None:
    assert len(read(nested(DEEPEST_DIRECTORY)).names) == DEEPEST_DIRECTORY
    with pytest.raises(UnsupportedTree, match="2,048 directories deep"):
        read(nested(DEEPEST_DIRECTORY + 1))


def test_an_archive_larger_than_announced_is_refused() -> None:
    archive = archive_of(SAMPLE)

    with pytest.raises(InvalidArchive, match="announced"):
        read(archive, limit=len(archive) - 1)


def test_a_file_larger_than_the_archive_is_refused_before_it_is_visited() -> None:
    size = (1 << 62).to_bytes(8, "little")
    archive = BEGIN + encode(b"(", b"type", b"regular", b"contents") + size + b"x"

    with pytest.raises(InvalidArchive, match="a file of more bytes"):
        read(archive)

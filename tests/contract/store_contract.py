"""What every implementation of ``Store`` does.

A subclass of ``StoreContract`` with a fixture ``make_store`` runs these tests.
"""

import asyncio
import io
import threading
from collections.abc import Callable, Mapping

import pytest

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.file_tree import FileTree, Link, Tree
from app.builder.images.contents.reading import read_file_tree
from app.builder.images.contents.tree_builder import TreeBuilder
from app.builder.images.packing import codec
from app.builder.images.packing.blocks import BlockStream
from app.builder.images.packing.packer import LayerPacker
from app.builder.images.packing.tree import TreeWriter
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.store import File, Store, UnreadablePath, UnsupportedTree
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.archives import TreeReader, names_of
from tests.unit.builder.images.packing.trees import ODDITIES, PROGRAM, Node, store_path

A, B = store_path(1, "a"), store_path(2, "b")
# The content of each path; the store's closures are those of the objects.
Contents = Mapping[StorePath, Node]
MakeStore = Callable[[Contents, tuple[StoreObject, ...]], Store]

# The diff ID of a layer with MIXED, whatever store it is read from.
DIFF_ID = "61bd2f381d5e01afbdf0e5b68bed60ac58adb2536fe089bcb9e287972652b1eb"
MIXED: Node = {
    b"odd": ODDITIES,
    b"bin": {PROGRAM: b"#!/bin/sh\n", b"link": (PROGRAM,)},
    b"large": b"0123456789abcdef" * 100_000,
    b"larger": b"fedcba9876543210" * 200_001,
}


def writer(prefix: bytes) -> tuple[TreeWriter, Callable[[], bytes]]:
    """A visitor that writes a tar, and a function that returns it."""
    tar = io.BytesIO()

    def deliver(buffer: bytearray, filled: int) -> bytearray:
        tar.write(memoryview(buffer)[:filled])
        return buffer

    stream = BlockStream(bytearray(1 << 16), deliver)

    def finish() -> bytes:
        stream.flush()
        return tar.getvalue()

    return TreeWriter(stream, prefix), finish


class _Both:
    """One pass for two visitors, only the first reads contents."""

    def __init__(self, first: TreeWriter, second: TreeBuilder) -> None:
        self._visitors = (first, second)

    def enter(self, name: bytes) -> None:
        for visitor in self._visitors:
            visitor.enter(name)

    def leave(self) -> None:
        for visitor in self._visitors:
            visitor.leave()

    def symlink(self, name: bytes, target: bytes) -> None:
        for visitor in self._visitors:
            visitor.symlink(name, target)

    def file(self, name: bytes, file: File) -> None:
        for visitor in self._visitors:
            visitor.file(name, file)


class _Waiting(TreeReader):
    """Stops at the first directory until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()

    def enter(self, name: bytes) -> None:
        super().enter(name)
        self.has_begun.set()
        self.may_go_on.wait(60)


class StoreContract:
    @pytest.mark.parametrize("node", [MIXED, {}, b"", b"a file", (b"a-link",), {b"d": {b"d": {}}}])
    def test_a_pass_has_every_entry_in_order_with_its_content(
        self, make_store: MakeStore, node: Node
    ) -> None:
        reader = TreeReader()

        make_store({A: node}, ()).visit(A, reader)

        assert reader.root == node
        assert reader.names == names_of(node, A.base.encode())
        assert reader.programs == ({PROGRAM} if node is MIXED else set())

    def test_contents_that_are_not_read_are_skipped(self, make_store: MakeStore) -> None:
        builder = TreeBuilder(Bound(names=1000, size=100_000))

        make_store({A: MIXED}, ()).visit(A, builder)

        assert isinstance(builder.root, Tree)
        assert list(builder.root.children) == [b"bin", b"large", b"larger", b"odd"]

    def test_a_content_may_be_read_in_part(self, make_store: MakeStore) -> None:
        class Parts(TreeReader):
            def file(self, name: bytes, file: File) -> None:
                file.open()
                part = bytearray(3)
                assert file.readv((part[:0], memoryview(part)[:1], memoryview(part)[1:])) == 3
                self._add(name, bytes(part))

        reader = Parts()

        make_store({A: {b"one": b"12345" * 99_999, b"two": b"678"}}, ()).visit(A, reader)

        assert reader.root == {b"one": b"123", b"two": b"678"}

    def test_a_missing_path_is_unreadable(self, make_store: MakeStore) -> None:
        with pytest.raises(UnreadablePath, match="No such file"):
            make_store({A: {}}, ()).visit(B, TreeReader())

    def test_a_directory_of_too_many_names_is_refused(
        self, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = make_store({A: {b"d": {b"1": b"", b"2": b"", b"3": b""}}}, ())
        monkeypatch.setattr("app.builder.nix.store.MOST_NAMES_IN_DIRECTORY", 3)
        store.visit(A, TreeReader())
        monkeypatch.setattr("app.builder.nix.store.MOST_NAMES_IN_DIRECTORY", 2)

        with pytest.raises(UnsupportedTree, match="more than 2 names in one directory"):
            store.visit(A, TreeReader())

    def test_an_error_of_the_visitor_ends_the_pass(self, make_store: MakeStore) -> None:
        tar, _ = writer(b"")

        with pytest.raises(UnsupportedTree, match="whiteout"):
            make_store({A: {b"a": b"1", b".wh.a": b""}}, ()).visit(A, tar)

    async def test_a_cancelled_pass_ends(self, make_store: MakeStore) -> None:
        workers, visitor = Workers(1), _Waiting()
        store = make_store({A: {b"d": {b"e": {}}}}, ())
        visiting = asyncio.create_task(workers.run(store.visit, A, visitor))
        await asyncio.to_thread(visitor.has_begun.wait, 60)

        visiting.cancel()
        await asyncio.sleep(0)
        visitor.may_go_on.set()

        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert visitor.names == [A.base.encode()]

    def test_one_pass_makes_a_tar_and_a_file_tree(self, make_store: MakeStore) -> None:
        store = make_store({A: MIXED}, ())
        alone, finish_alone = writer(b"nix/store/")
        store.visit(A, alone)
        tar, finish = writer(b"nix/store/")
        builder = TreeBuilder(Bound(names=1000, size=100_000))

        store.visit(A, _Both(tar, builder))

        assert finish() == finish_alone()
        assert FileTree(builder.root, {}) == read_file_tree(A, store, [A])

    async def test_layers_have_the_same_diff_id(self, make_store: MakeStore) -> None:
        storage = MemoryStorage()
        packer = LayerPacker(
            storage=storage,
            existence=BlobExistenceCache(storage),
            workers=Workers(2),
            codecs=codec.find_all("gzip"),
            store=make_store({A: MIXED}, ()),
        )

        layer = await packer.layer([A])
        await packer.close()

        assert layer.diff_id.hex == DIFF_ID

    def test_links_are_followed_into_other_paths(self, make_store: MakeStore) -> None:
        store = make_store(
            {
                A: {b"share": (f"{B}/share/x".encode(),), b"up": (f"../{B.base}".encode(),)},
                B: {b"share": {b"x": (b"../real",)}, b"real": {b"file": b"1", b"a": (b"file",)}},
            },
            (),
        )

        tree = read_file_tree(A, store, [A, B])

        assert isinstance(tree.root, Tree)
        assert tree.root.children[b"share"] == Link(
            f"{B}/share/x".encode(), f"{B.base}/real".encode()
        )
        assert set(tree.linked) == {f"{B.base}/real".encode(), B.base.encode()}
        assert set(tree.linked[f"{B.base}/real".encode()].children) == {b"file", b"a"}

    async def test_the_closure_is_complete_under_references(self, make_store: MakeStore) -> None:
        objects = (StoreObject(A, 1, (B,)), StoreObject(B, 2, ()))
        store = make_store({A: {}, B: {}}, objects)

        closure: Closure = await store.closure([A])

        assert closure.paths == (A, B)
        assert (await store.closure([B])).paths == (B,)

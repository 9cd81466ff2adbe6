import pytest
from pydantic import ValidationError

from app.builder.images.contents.file_tree import FILE, FileTree, Link, Node, Tree
from app.builder.images.contents.file_trees import FILE_TREES
from app.builder.images.contents.flat_file_tree import flatten, unflatten


def test_a_flat_file_tree_becomes_the_same_file_tree() -> None:
    share = Tree({b"\xff": FILE, b"more": Tree({}), b"a": Tree({b"b": Tree({b"c": FILE})})})
    root = Tree(
        {b"\xfe\x80": FILE, "ü".encode(): Link(b"\xff", None), b"s": Link(b"../x", b"c/share")}
    )
    file_tree = FileTree(root, {b"c/share": share})

    stored = FILE_TREES.adapter.dump_json(flatten(file_tree))

    assert unflatten(FILE_TREES.adapter.validate_json(stored, strict=True)) == file_tree


@pytest.mark.parametrize("root", [FILE, Link(b"x", None), Link(b"x", b"y/z"), Tree({})])
def test_a_top_of_any_kind_is_kept(root: Node) -> None:
    stored = FILE_TREES.adapter.dump_json(flatten(FileTree(root, {})))

    assert unflatten(FILE_TREES.adapter.validate_json(stored, strict=True)) == FileTree(root, {})


def test_a_tree_of_any_depth_is_kept() -> None:
    tree = Tree({})
    for _ in range(500):
        tree = Tree({b"d": tree})

    flat = flatten(FileTree(tree, {}))

    stored = FILE_TREES.adapter.dump_json(flat)
    assert FILE_TREES.adapter.validate_json(stored, strict=True) == flat
    assert flatten(unflatten(flat)) == flat


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"root":1,"linked":{}}',
        b'{"root":{},"linked":{}}',
        b'{"root":true,"linked":{"x":true}}',
        b'{"root":{"":{"files":[],"links":{},"directories":["gone"]}},"linked":{}}',
        b'{"root":{"":{"files":[1],"links":{},"directories":[]}},"linked":{}}',
    ],
)
def test_an_invalid_file_tree_is_refused(document: bytes) -> None:
    with pytest.raises(ValidationError):
        FILE_TREES.adapter.validate_json(document, strict=True)

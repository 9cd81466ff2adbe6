import pytest
from pydantic import ValidationError

from app.builder.images.contents.file_tree import FILE, Link, Listing, Node, Tree
from app.builder.images.contents.file_trees import LISTINGS
from app.builder.images.contents.flat_file_tree import flatten, unflatten


def test_a_flat_listing_becomes_the_same_listing() -> None:
    share = Tree({b"\xff": FILE, b"more": Tree({}), b"a": Tree({b"b": Tree({b"c": FILE})})})
    root = Tree(
        {b"\xfe\x80": FILE, "ü".encode(): Link(b"\xff", None), b"s": Link(b"../x", b"c/share")}
    )
    listing = Listing(root, {b"c/share": share})

    stored = LISTINGS.adapter.dump_json(flatten(listing))

    assert unflatten(LISTINGS.adapter.validate_json(stored, strict=True)) == listing


@pytest.mark.parametrize("root", [FILE, Link(b"x", None), Link(b"x", b"y/z"), Tree({})])
def test_a_top_of_any_kind_is_kept(root: Node) -> None:
    stored = LISTINGS.adapter.dump_json(flatten(Listing(root, {})))

    assert unflatten(LISTINGS.adapter.validate_json(stored, strict=True)) == Listing(root, {})


def test_a_tree_of_any_depth_is_kept() -> None:
    tree = Tree({})
    for _ in range(500):
        tree = Tree({b"d": tree})

    flat = flatten(Listing(tree, {}))

    stored = LISTINGS.adapter.dump_json(flat)
    assert LISTINGS.adapter.validate_json(stored, strict=True) == flat
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
def test_an_invalid_listing_is_refused(document: bytes) -> None:
    with pytest.raises(ValidationError):
        LISTINGS.adapter.validate_json(document, strict=True)

import json

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.programs import path_info as pathinfo

LEAF = "/nix/store/h070fyybnam5wxz5iy5dnlmwcbcpg8rq-leaf-1.0"
TREE = "/nix/store/apgmnhcjmm2zz7rz2ilf13mg7yza77m2-tree-1.0"
ROWS = {
    LEAF: {"narSize": 120, "references": [], "narHash": f"sha256-{'A' * 43}="},
    TREE: {"narSize": 168, "references": [LEAF, TREE], "narHash": f"sha256-{'A' * 43}="},
}


def base(path: str) -> str:
    return path.removeprefix("/nix/store/")


SHAPES = {
    "2.8": [{"path": path, **row} for path, row in ROWS.items()],
    "2.19": ROWS,
    "2.33": {
        "version": 2,
        "storeDir": "/nix/store",
        "info": {
            base(path): {
                **row,
                "references": [base(r) for r in row["references"]],  # type: ignore[attr-defined]
            }
            for path, row in ROWS.items()
        },
    },
}


WEAK = {LEAF: {**ROWS[LEAF], "narHash": f"md5-{'A' * 43}="}}


@pytest.mark.parametrize("version", SHAPES)
def test_every_shape_gives_the_same_closure(version: str) -> None:
    closure = pathinfo.parse(json.dumps(SHAPES[version]).encode())

    assert closure.paths == (StorePath.parse(TREE), StorePath.parse(LEAF))
    assert closure[StorePath.parse(TREE)].references == (StorePath.parse(LEAF),)
    assert closure[StorePath.parse(LEAF)].nar_size == 120
    assert {item.nar_hash for item in closure.objects.values()} == {"00" * 32}


@pytest.mark.parametrize(
    "document", [{LEAF: None}, [{"path": LEAF, "valid": False}], [LEAF], "text", {LEAF: {}}, WEAK]
)
def test_a_path_that_is_not_there_is_an_error(document: object) -> None:
    with pytest.raises(ValueError):
        pathinfo.parse(json.dumps(document).encode())

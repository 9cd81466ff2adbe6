import json
from pathlib import Path

import pytest

from nix.debian.builder.build import main
from nix.debian.builder.task import Recipe, parse_task
from tests.unit.debian.builder.elves import Sample
from tests.unit.debian.builder.units import Store
from tests.unit.debian.debs import Package

DOCUMENT = {
    "unit": "tool",
    "outputs": {"bin": "/store/tool-bin", "man": "/store/tool-man", "doc": "/store/tool-doc"},
    "mainOutput": "bin",
    "debs": ["/store/tool.deb"],
    "dependencies": {"below": "/store/below"},
    "triplet": "x86_64-linux-gnu",
    "machine": 62,
    "loader": "ld-linux-x86-64.so.2",
    "redirectLibrary": "",
    "recipe": {"env": {"X": "@out@/x:@below@/y"}, "wrap": ["bin/tool"], "adjust": "perl"},
}


def test_a_task_is_read_from_what_nix_writes() -> None:
    task = parse_task(DOCUMENT, ("zstd",))
    assert (task.out, task.man) == (Path("/store/tool-bin"), Path("/store/tool-man"))
    assert task.other_outputs == (Path("/store/tool-doc"),)
    assert task.recipe == Recipe(
        env={"X": "@out@/x:@below@/y"}, wrap=frozenset(["bin/tool"]), adjust="perl"
    )
    assert task.expand(task.recipe.env["X"]) == "/store/tool-bin/x:/store/below/y"


def snapshot(root: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.slow
def test_the_same_packages_give_the_same_tree(tmp_path: Path) -> None:
    trees = []
    for _ in range(2):
        store = Store(tmp_path / "build")
        store.libc()
        store.shell()
        out = store.unit(
            "tool",
            {
                "usr/bin/tool": Sample().content(),
                "usr/bin/script": b"#!/bin/sh\n/usr/bin/tool\n",
                "usr/share/link": "../bin/tool",
            },
            needs=("bash", "libc"),
            recipe=Recipe(env={"X": "@out@"}),
        )
        trees.append(snapshot(out))
        (tmp_path / "build").rename(tmp_path / f"build-{len(trees)}")
    assert trees[0] == trees[1]


def test_a_refused_build_ends_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deb = Package(files={"usr/lib/liba.so": Sample(needed=("libgone.so",)).content()})
    document = {
        **DOCUMENT,
        "outputs": {"out": str(tmp_path / "out")},
        "mainOutput": "out",
        "debs": [str(deb.write(tmp_path / "tool.deb"))],
        "dependencies": {},
        "recipe": {},
    }
    (tmp_path / ".attrs.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["build"])
    with pytest.raises(SystemExit, match=r"tool: no dependency provides libgone\.so; "):
        main()

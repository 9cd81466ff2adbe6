"""Wheels become a directory of modules that runs from the Nix store."""

import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from nix.debian.builder.elf import read_elf
from nix.server.install import LibraryMissing, install
from scripts.server_set import chosen_extras
from tests.docpages import PAGES, ROOT
from tests.unit.debian.builder.elves import Sample

X86_64 = 62


def wheel(path: Path, **files: tuple[bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, (content, mode) in files.items():
            item = zipfile.ZipInfo(name)
            item.external_attr = mode << 16
            archive.writestr(item, content)
    return path


def library(*needed: str, runpath: str | None = None) -> tuple[bytes, int]:
    return Sample(needed=needed, interpreter=None, runpath=runpath).content(), 0o644


def test_libraries_find_those_of_the_store_and_of_the_wheel(tmp_path: Path) -> None:
    store = tmp_path / "libc" / "lib"
    store.mkdir(parents=True)
    (store / "libc.so.6").touch()
    made = wheel(
        tmp_path / "a.whl",
        **{
            "a/m.so": library("libown-1.so", "libc.so.6", runpath="$ORIGIN/../a.libs"),
            "a.libs/libown-1.so": library("libc.so.6"),
        },
    )

    install([made], tmp_path / "out", (store,), X86_64)

    runpath = read_elf(tmp_path / "out/a/m.so", X86_64).runpath
    assert runpath == ("$ORIGIN/../a.libs", str(store))


def test_a_library_that_nothing_has_is_refused(tmp_path: Path) -> None:
    made = wheel(tmp_path / "a.whl", **{"a/m.so": library("libabsent.so.1")})

    with pytest.raises(LibraryMissing, match=r"m.so needs libabsent.so.1"):
        install([made], tmp_path / "out", (), X86_64)


def test_modules_are_compiled_without_their_place_and_sources_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)  # the Makefile sets it
    made = wheel(
        tmp_path / "a.whl",
        **{
            "app/m.py": (b"def f(): pass\n", 0o644),
            "app/nix/debian/generate.py": (b"print()\n", 0o755),
        },
    )

    install([made], tmp_path / "out", (), X86_64)

    [compiled] = (tmp_path / "out").rglob("*.pyc")
    assert compiled.parent == tmp_path / "out/app/__pycache__"
    assert str(tmp_path).encode() not in compiled.read_bytes()
    assert (tmp_path / "out/app/nix/debian/generate.py").stat().st_mode & 0o111 == 0o111
    assert (tmp_path / "out/app/m.py").stat().st_mode & 0o111 == 0


def test_extras_of_an_image_are_options_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXTRAS", raising=False)
    assert chosen_extras() == []

    monkeypatch.setenv("EXTRAS", "gcs, otel")
    assert chosen_extras() == ["--extra=gcs", "--extra=otel"]


def test_extras_that_the_documentation_names_are_those_of_the_project() -> None:
    files = (*PAGES, ROOT / "deploy" / "compose" / "Dockerfile")
    text = "".join(file.read_text() for file in files)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    named = {name for names in re.findall(r"EXTRAS=([a-z,]+)", text) for name in names.split(",")}

    assert named | set(re.findall(r"nixery\[(\w+)\]", text)) == {*project["optional-dependencies"]}

"""Store paths are opened by the implementations of ``app.builder.nix.store`` alone."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

APP = Path(__file__).parents[3] / "app"
# Functions that look at a file system without pathlib.
LOOKS = frozenset(
    {"open", "scandir", "lstat", "stat", "listdir", "readlink", "walk", "fwalk", "access"}
)
# Each looks at another directory than the store.
LOOKING = {
    "builder/nix/programs/local_store.py",  # the store itself
    "builder/sources/fingerprint.py",  # the files of a source
    "builder/sources/git/files.py",  # a clone
}
# Each has it in a text, a pattern or a name in archives; ``command`` measures free space there.
NAMING = {
    "builder/evaluation/isolation.py",
    "builder/images/contents/base.py",
    "builder/images/contents/nix_inside.py",
    "builder/images/packing/codec.py",
    "builder/images/packing/entry.py",
    "builder/images/packing/layer_writer.py",
    "builder/nix/binary_cache/cache.py",
    "builder/nix/binary_cache/content_address.py",
    "builder/nix/closure.py",
    "builder/nix/programs/build_log.py",
    "builder/nix/programs/command.py",
    "builder/nix/programs/diagnosis.py",
    "builder/nix/programs/fetches.py",
    "builder/nix/results.py",
}
BUILDER = sorted((APP / "builder").rglob("*.py"))


def docstrings(tree: ast.AST) -> set[ast.AST]:
    bodies = [
        node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)}


def looks(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in LOOKS
        for node in ast.walk(tree)
    )


def names_store(tree: ast.AST) -> bool:
    texts = docstrings(tree)
    return any(
        (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | bytes)
            and "nix/store" in str(node.value)
            and node not in texts
        )
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "STORE" for alias in node.names))
        for node in ast.walk(tree)
    )


def test_few_modules_of_the_builder_look_at_a_file_system_by_its_calls() -> None:
    found = {
        path.relative_to(APP).as_posix() for path in BUILDER if looks(ast.parse(path.read_text()))
    }

    assert found == LOOKING


def test_few_modules_of_the_builder_name_the_store() -> None:
    found = {
        path.relative_to(APP).as_posix()
        for path in BUILDER
        if names_store(ast.parse(path.read_text()))
    }

    assert found == NAMING

"""Files and functions of ``app`` stay small enough to be read at once."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[3] / "app"
FILE_LINES = 300
FUNCTION_LINES = 60
FILES = sorted(APP.rglob("*.py"))
# May only become fewer.
LONG_FILES = frozenset({"storage/gcs/bucket.py"})
LONG_FUNCTIONS: frozenset[str] = frozenset()


def name(path: Path) -> str:
    return path.relative_to(APP).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_is_short(path: Path) -> None:
    lines = path.read_text().count("\n")

    assert lines < FILE_LINES or name(path) in LONG_FILES


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions_are_short(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {
        function.name: function.end_lineno - function.lineno + 1
        for function in functions
        if function.end_lineno is not None and function.name not in LONG_FUNCTIONS
    }

    assert [found for found in long.items() if found[1] >= FUNCTION_LINES] == []

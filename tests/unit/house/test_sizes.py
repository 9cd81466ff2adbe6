"""Files and functions of ``app`` stay small enough to be read at once."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

APP = Path(__file__).parents[3] / "app"
FILE_LINES = 300
FUNCTION_LINES = 60
FILES = sorted(APP.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(APP).as_posix()


def test_files_are_short() -> None:
    lines = {name(path): path.read_text().count("\n") for path in FILES}

    assert not {found for found, count in lines.items() if count >= FILE_LINES}


def test_functions_are_short() -> None:
    long = {
        f"{name(path)}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 >= FUNCTION_LINES
    }

    assert not long

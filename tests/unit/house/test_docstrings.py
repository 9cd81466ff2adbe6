"""A docstring starts with a sentence that stands alone, as CONTRIBUTING.md asks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def first_lines() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                yield f"{path.relative_to(ROOT)}: {node.name}", text.partition("\n")[0]


def test_docstrings_start_with_what_is_documented() -> None:
    """Neither with a parameter nor with the errors, which a reader cannot place yet."""
    lines = list(first_lines())

    assert len(lines) > 1000
    assert not [
        (place, line)
        for place, line in lines
        if line.startswith(("``", "Raises ")) or line[0].islower()
    ]


def test_docstrings_start_with_a_line_of_their_own() -> None:
    assert not [
        (place, line) for place, line in first_lines() if len(line) > 1 and line[-1] not in ".:?"
    ]

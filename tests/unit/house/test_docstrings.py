"""A docstring starts with a sentence that stands alone, and names only what exists."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Their fields have descriptions.
DESCRIBED = ("schemas.py", "settings/sections/")
CLASS_NAME = re.compile(r"\b(?:[A-Z][a-z0-9]+){2,}\b")
# Names of Nix and of a project.
FOREIGN = frozenset({"ActivityType", "ResultType", "OpenTelemetry"})


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


def test_names_in_docstrings_exist() -> None:
    """A class that was renamed may stay in the docstrings of its callers."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "app").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    known = {*dir(builtins), *FOREIGN}
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.alias):
            known.add(node.name)
        elif isinstance(node, ast.Name):
            known.add(node.id)
        elif isinstance(node, ast.Attribute):
            known.add(node.attr)
    texts = [
        ast.get_docstring(node) or "" for node in nodes if isinstance(node, ast.Module | Documented)
    ]

    assert {name for text in texts for name in CLASS_NAME.findall(text)} <= known


def test_public_classes_have_docstrings() -> None:
    classes = [
        (path.relative_to(ROOT).as_posix(), node)
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]

    assert not [
        (path, node.name)
        for path, node in classes
        if ast.get_docstring(node) is None and not any(part in path for part in DESCRIBED)
    ]

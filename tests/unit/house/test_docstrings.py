"""A docstring starts with a sentence that stands alone, and names only what exists."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PLACES = ("app", "bench", "scripts", "tests")
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Their fields have descriptions.
DESCRIBED = ("schemas.py", "settings/sections/")
CLASS_NAME = re.compile(r"\b(?:[A-Z][a-z0-9]+){2,}\b")
# Names of Nix and of a project.
FOREIGN = frozenset({"ActivityType", "ResultType", "OpenTelemetry"})


def first_lines(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield f"{path.relative_to(ROOT)}: {node.name}", text.partition("\n")[0]


def test_docstrings_start_with_a_sentence_of_what_is_documented() -> None:
    """Not with a parameter or an error, which a reader cannot place yet."""
    paths = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py"))
    lines = [found for path in paths for found in first_lines(path)]

    assert len(lines) > 1000
    assert not [
        (place, line)
        for place, line in lines
        if line.startswith(("``", "Raises ")) or line[0].islower() or line[-1] not in ".:?"
    ]


def test_functions_return_whether() -> None:
    """Only properties are described by a clause with "whether" alone."""
    nodes = [
        (path.relative_to(ROOT).as_posix(), node)
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    ]

    assert not [
        (path, node.name)
        for path, node in nodes
        if (ast.get_docstring(node) or "").startswith("Whether ")
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

"""Functions that block carry the mark, and no coroutine calls one."""

import ast
from collections.abc import Iterator

import pytest

from tests.unit.house.functions import (
    CLASS_MARK,
    MARK,
    Function,
    Module,
    calls,
    functions,
    has_mark,
    read_program,
)

pytestmark = pytest.mark.slow

PROGRAM = read_program()
# Small records are encoded and decoded on the loop, large ones by workers.  ``plan_layers`` is in
# a package that imports neither asyncio nor the mark.
UNMARKED = frozenset({"encode", "decode", "decode_each", "plan_layers"})


def text(node: ast.expr) -> str:
    return ast.unparse(node)


def is_worker(called: ast.expr) -> bool:
    """Return whether ``called`` runs its first argument in a thread."""
    return (
        isinstance(called, ast.Attribute)
        and called.attr in {"run", "obtain", "finish"}
        and text(called.value).rpartition(".")[2].strip("_") in {"workers", "threads"}
    )


def test_functions_for_workers_are_marked() -> None:
    unmarked = [
        f"{module.name}, line {call.lineno}: {text(call.args[0])}"
        for module, owner, function in all_functions()
        for call in calls(function)
        if is_worker(call.func)
        and PROGRAM.mark_of(call.args[0], module, owner) is False
        and text(call.args[0]).rpartition(".")[2] not in UNMARKED
    ]

    assert unmarked == []


def test_documented_as_blocking_means_marked() -> None:
    unmarked = [
        f"{module.name}, line {node.lineno}: {node.name}"
        for module in PROGRAM.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and (ast.get_docstring(node) or "").startswith("Blocking")
        and not (has_mark(node, MARK) or has_mark(node, CLASS_MARK))
    ]

    assert unmarked == []


def test_no_coroutine_calls_a_marked_function() -> None:
    blocked = [
        f"{module.name}, line {call.lineno}: {text(call.func)}"
        for module, owner, function in all_functions()
        if isinstance(function, ast.AsyncFunctionDef)
        for call in calls(function)
        if PROGRAM.mark_of(call.func, module, owner)
    ]

    assert blocked == []


def all_functions() -> Iterator[tuple[Module, str, Function]]:
    for module in PROGRAM.modules.values():
        for owner, function in functions(module.tree):
            yield module, owner, function

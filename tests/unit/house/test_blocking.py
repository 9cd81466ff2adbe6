"""Functions that block carry the mark, and no coroutine calls one."""

import ast

import pytest

from tests.unit.house.functions import (
    CLASS_MARK,
    MARK,
    Module,
    calls,
    functions,
    has_mark,
    read_program,
)

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


@pytest.mark.parametrize("module", PROGRAM.modules.values(), ids=lambda module: module.name)
class TestModule:
    def test_functions_for_workers_are_marked(self, module: Module) -> None:
        unmarked = [
            f"line {call.lineno}: {text(call.args[0])}"
            for owner, function in functions(module.tree)
            for call in calls(function)
            if is_worker(call.func)
            and PROGRAM.mark_of(call.args[0], module, owner) is False
            and text(call.args[0]).rpartition(".")[2] not in UNMARKED
        ]

        assert unmarked == []

    def test_documented_as_blocking_means_marked(self, module: Module) -> None:
        unmarked = [
            f"line {node.lineno}: {node.name}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
            and (ast.get_docstring(node) or "").startswith("Blocking")
            and not (has_mark(node, MARK) or has_mark(node, CLASS_MARK))
        ]

        assert unmarked == []

    def test_no_coroutine_calls_a_marked_function(self, module: Module) -> None:
        blocked = [
            f"line {call.lineno}: {text(call.func)}"
            for owner, function in functions(module.tree)
            if isinstance(function, ast.AsyncFunctionDef)
            for call in calls(function)
            if PROGRAM.mark_of(call.func, module, owner)
        ]

        assert blocked == []

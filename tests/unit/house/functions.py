"""The functions of ``app``, which of them carry ``@blocking``, and what an expression names."""

import ast
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[3]
MARK = "blocking"
CLASS_MARK = "blocking_class"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    name: str
    tree: ast.Module
    imports: dict[str, str] = field(default_factory=dict)


@dataclass
class Program:
    """All modules; ``marks`` has "module.function" and "module.Class.method"."""

    modules: dict[str, Module] = field(default_factory=dict)
    marks: dict[str, bool] = field(default_factory=dict)

    def with_name(self, name: str) -> list[bool]:
        """Return the marks of all methods with a name."""
        return [
            mark
            for full, mark in self.marks.items()
            if full.rpartition(".")[2] == name and full.split(".")[-2][:1].strip("_").isupper()
        ]

    def mark_of(self, expression: ast.expr, module: Module, owner: str) -> bool | None:
        """Return whether what an expression names is marked; None if that is unknown."""
        match expression:
            case ast.Call(func=ast.Name(id="partial"), args=[first, *_]):
                return self.mark_of(first, module, owner)
            case ast.Name(id=name):
                full = module.imports.get(name, f"{module.name}.{name}")
                return self.marks.get(full)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self.marks.get(f"{module.name}.{owner}.{name}")
            case ast.Attribute(value=ast.Name(id=place), attr=name) if place in module.imports:
                return self.marks.get(f"{module.imports[place]}.{name}")
            case ast.Attribute(attr=name):
                marks = [] if _is_standard(name) else self.with_name(name)
                return marks[0] if len(set(marks)) == 1 else None
            case _:
                return None


def _is_standard(method: str) -> bool:
    """Return whether files and paths have a method of that name."""
    return hasattr(Path, method) or hasattr(io.BufferedRandom, method)


def read_program() -> Program:
    program = Program()
    for path in sorted((PROJECT / "app").rglob("*.py")):
        name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        module = Module(name, ast.parse(path.read_text()))
        program.modules[name] = module
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                module.imports |= {
                    one.asname or one.name: f"{node.module}.{one.name}" for one in node.names
                }
            elif isinstance(node, ast.Import):
                module.imports |= {one.asname or one.name: one.name for one in node.names}
        marked = {
            node.name
            for node in module.tree.body
            if isinstance(node, ast.ClassDef) and has_mark(node, CLASS_MARK)
        }
        for owner, function in functions(module.tree):
            full = ".".join(filter(None, (name, owner, function.name)))
            program.marks[full] = has_mark(function, MARK) or (
                owner in marked and is_method(function)
            )
    return program


def has_mark(node: Function | ast.ClassDef, mark: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == mark for one in node.decorator_list)


def is_method(function: Function) -> bool:
    """Return whether the mark of a class covers the function."""
    return not (
        function.name.startswith("_")
        or isinstance(function, ast.AsyncFunctionDef)
        or has_mark(function, "property")
    )


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the functions of a module and of its classes, with the name of the class."""
    for node in tree.body:
        if isinstance(node, Function):
            yield "", node
        if isinstance(node, ast.ClassDef):
            yield from ((node.name, one) for one in node.body if isinstance(one, Function))


def calls(function: Function) -> Iterator[ast.Call]:
    """Yield the calls that a function makes itself, not those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)

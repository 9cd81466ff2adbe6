"""Commands in the documentation, compared with the commands that exist."""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

import typer
from typer.core import TyperGroup

from app.commands.verbs import app
from app.settings.names import CONFIG_VARIABLE, variables
from app.settings.settings import Settings
from tests.docpages import ROOT, Block

_SEPARATORS = frozenset({";", "&&", "||", "|", "&", "(", ")"})
_ASSIGNMENT = re.compile(r"([A-Z_]+)=")
_TARGETS = frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
VARIABLES = {CONFIG_VARIABLE, *(name for f in Settings.model_fields for name in variables(f))}
_CLI = cast("TyperGroup", typer.main.get_command(app))  # with the options of completion
_GENERATOR = "nix/debian/generate.py"


class _Parameter(Protocol):
    opts: list[str]


def scripts(block: Block) -> str:
    """Return the shell text of a block: all of it, or what follows the prompts of a console."""
    if block.language != "console":
        return block.text
    lines = block.text.splitlines()
    return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ ")) + "\n"


def commands(script: str) -> Iterator[list[str]]:
    """Split a shell script into simple commands."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        words: list[str] = []
        for token in lexer:
            if token in _SEPARATORS:
                yield words
                words = []
            else:
                words.append(token)
        yield words


def faults(words: list[str]) -> list[str]:
    """Return what a command names that does not exist."""
    found = []
    while words and (assigned := _ASSIGNMENT.match(words[0])):
        name = assigned[1]
        if name.startswith("NIXERY_") and name not in VARIABLES:
            found.append(f"the variable {name} does not exist")
        words = words[1:]
    match words:
        case ["nixery" | ".venv/bin/nixery", *arguments]:
            found += _nixery(arguments)
        case ["make", *targets]:
            found += [f"make {name} does not exist" for name in targets if name not in _TARGETS]
        case ["python" | "python3" | ".venv/bin/python", *arguments]:
            found += _python(arguments)
        case _:  # a program that is not ours
            pass
    return found


def _nixery(arguments: list[str]) -> list[str]:
    if not arguments or arguments[0].startswith("-"):
        return _unknown(arguments, _options(_CLI.params), "nixery")
    name, *arguments = arguments
    if name not in _CLI.commands:
        return [f"nixery {name} does not exist"]
    return _unknown(arguments, _options(_CLI.commands[name].params), f"nixery {name}")


def _options(parameters: Iterable[_Parameter]) -> set[str]:
    return {"-h", "--help", *(option for parameter in parameters for option in parameter.opts)}


def _unknown(arguments: list[str], known: set[str], command: str) -> list[str]:
    options = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    return [f"{command} has no option {option}" for option in options if option not in known]


def _python(arguments: list[str]) -> list[str]:
    match arguments:
        case ["-c", code]:
            return _missing_imports(code)
        case ["-m", module, *rest]:
            if module.partition(".")[0] not in {"app", "bench", "nix", "scripts", "tests"}:
                return []  # a module that is not ours
            return _program(Path(*module.split(".")).with_suffix(".py").as_posix(), rest)
        case [file, *rest] if file.endswith(".py"):
            return _program(file, rest)
        case _:
            return []


def _program(file: str, arguments: list[str]) -> list[str]:
    if "NAME" in file:
        return []
    if not (ROOT / file).is_file():
        return [f"{file} does not exist"]
    parser = "nix/debian/generator/cli.py" if file == _GENERATOR else file
    text = "".join((ROOT / name).read_text() for name in (file, parser))
    return _unknown(arguments, {"--help", *re.findall(r"\"(--[a-z-]+)\"", text)}, file)


def _missing_imports(code: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = ROOT.joinpath(*node.module.split("."))
            found += [
                f"{node.module}.{alias.name} does not exist"
                for alias in node.names
                if not (package / f"{alias.name}.py").exists()
                and not package.with_suffix(".py").exists()
            ]
    return found

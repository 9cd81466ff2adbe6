"""docs/commands.md lists every verb with its arguments and options, as the code defines them.

``python -m tests.unit.commands.test_commands_docs`` updates the page.
"""

import platform
import re
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from app.commands.verbs import app
from app.settings.names import CONFIG_VARIABLE, variables
from app.settings.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
BEGIN, END = "<!-- commands -->\n", "<!-- end of commands -->"
_CLI = typer.main.get_group(app)


def _form(parameter: TyperArgument | TyperOption) -> str:
    """Return how the parameter is written, such as ``--known FILE``."""
    metavar = (parameter.metavar or "").replace("|", r"\|")
    if isinstance(parameter, TyperArgument):
        return metavar
    return " ".join([", ".join(parameter.opts), metavar]).strip()


def _meaning(parameter: TyperArgument | TyperOption) -> str:
    text = parameter.help or ""
    default = parameter.default
    if isinstance(default, str) and platform.machine() in default:
        return f"{text} Default: this machine's."
    if isinstance(default, int | float | str) and not isinstance(default, bool):
        text = f"{text} Default: `{default}`."
    return text


def _section(name: str, verb: TyperCommand) -> str:
    paragraphs = (verb.help or "").strip()
    rows = [
        f"| `{_form(parameter)}` | {_meaning(parameter)} |"
        for parameter in verb.params
        if isinstance(parameter, TyperArgument | TyperOption)
    ]
    table = "\n".join(["", "| argument or option | meaning |", "|---|---|", *rows, ""])
    return f"### {name}\n\n{paragraphs}\n{table if rows else ''}"


def sections() -> str:
    verbs = {name: verb for name, verb in _CLI.commands.items() if isinstance(verb, TyperCommand)}
    assert len(verbs) == len(_CLI.commands)
    return "\n".join(_section(name, verb) for name, verb in sorted(verbs.items()))


def test_page_lists_every_verb_and_option() -> None:
    page = PAGE.read_text()

    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == sections()


def test_help_names_settings_by_their_current_variables() -> None:
    current = {CONFIG_VARIABLE, *(variables(setting)[0] for setting in Settings.model_fields)}
    texts = [f"{verb.help} {verb.short_help}" for verb in _CLI.commands.values()]

    named = set(re.findall(r"\bNIXERY_[A-Z_]+\b", f"{sections()} {texts}"))

    assert "NIXERY_PLAN" in named
    assert named <= current


if __name__ == "__main__":
    page = PAGE.read_text()
    head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(head + sections() + tail)

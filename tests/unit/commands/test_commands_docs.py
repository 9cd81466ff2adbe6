"""docs/commands.md lists every verb with its arguments and options, as the code defines them.

``python -m tests.unit.commands.test_commands_docs`` updates the page.
"""

import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from app.commands.verbs import app
from app.settings.names import CONFIG_VARIABLE, variables
from app.settings.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
BEGIN, END = "<!-- commands -->\n", "<!-- end of commands -->"
# A command with so many arguments and options of an earlier one refers to it.
REPEATED = 3
_CLI = typer.main.get_group(app)

Items = tuple[tuple[str, str], ...]


def _form(parameter: TyperArgument | TyperOption) -> str:
    """Return how the parameter is written, such as ``--known FILE``."""
    metavar = parameter.metavar or ""
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


def _items(verb: TyperCommand) -> Iterator[tuple[str, str]]:
    for parameter in verb.params:
        if isinstance(parameter, TyperArgument | TyperOption):
            yield f"`{_form(parameter)}`", _meaning(parameter)


def _section(name: str, verb: TyperCommand, earlier: Mapping[str, Items]) -> tuple[str, Items]:
    """Return the text, and its items: with one line for those of an earlier command."""
    items = tuple(_items(verb))
    same = {other: [one for one in items if one in known] for other, known in earlier.items()}
    of = max(same, key=lambda other: len(same[other]), default="")
    shared = same[of] if of and len(same[of]) >= REPEATED else []
    lines = [f"- {form}: {meaning}" for form, meaning in items if (form, meaning) not in shared]
    if shared:
        lines.insert(0, f"- {', '.join(form for form, _ in shared)}: as in [{of}](#{of}).")
    listed = "\n".join(["", *lines, ""]) if lines else ""
    return f"### {name}\n\n{(verb.help or '').strip()}\n{listed}", items


def sections() -> str:
    verbs = {name: verb for name, verb in _CLI.commands.items() if isinstance(verb, TyperCommand)}
    assert len(verbs) == len(_CLI.commands)
    texts: list[str] = []
    earlier: dict[str, Items] = {}
    for name, verb in sorted(verbs.items()):
        text, earlier[name] = _section(name, verb, earlier)
        texts.append(text)
    return "\n".join(texts)


def test_page_lists_every_verb_and_option() -> None:
    page = PAGE.read_text()

    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == sections()


def test_page_names_the_options_of_the_program_itself() -> None:
    options = [option for one in typer.main.get_command(app).params for option in one.opts]

    assert "--version" in options
    assert [option for option in options if f"`nixery {option}`" not in PAGE.read_text()] == []


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

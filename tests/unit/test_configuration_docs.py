"""docs/configuration.md lists every setting, as the code has it.

``python -m tests.unit.test_configuration_docs`` writes the table anew.
"""

from pathlib import Path

from pydantic_core import PydanticUndefined

from app.settings.settings import Settings, variables

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->"
# What their defaults depend on is said in words.
COMPUTED = {
    "system": "this machine's",
    "build_cores": "the processors it may use",
    "build_jobs": "the processors it may use",
    "workers": "the processors it may use, by affinity and cgroup",
    "storage_path": "`storage` below the state path",
    "state_path": "`$STATE_DIRECTORY`, `$XDG_STATE_HOME` or `~/.local/state`, and `nixery` there",
}


def default(field: str) -> str:
    value = Settings.model_fields[field].default
    if field in COMPUTED:
        return COMPUTED[field]
    assert value is not PydanticUndefined, field
    match value:
        case None | "" | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`{','.join(map(str, value))}`"
        case _:
            return f"`{getattr(value, 'value', value)}`"


def table() -> str:
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        first, *others = variables(name)
        also = f" Also `{'`, `'.join(others)}`." if others else ""
        rows.append(f"| `{first}` | {default(name)} | {field.description}{also} |")
    return "\n".join(rows) + "\n"


def test_the_page_lists_every_setting_as_it_is() -> None:
    page = PAGE.read_text()

    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == table()


if __name__ == "__main__":
    page = PAGE.read_text()
    head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(head + table() + tail)

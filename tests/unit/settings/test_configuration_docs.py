"""docs/configuration.md lists every setting as the code defines it.

``python -m tests.unit.settings.test_configuration_docs`` updates the page.
"""

from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from app.settings.names import variables
from app.settings.sections.layers import LayerSettings
from app.settings.sections.logging import LoggingSettings
from app.settings.sections.nix import NixSettings
from app.settings.sections.packages import PackageSettings
from app.settings.sections.serving import ServingSettings
from app.settings.sections.storage import StorageSettings
from app.settings.sections.waiting import WaitingSettings
from app.settings.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->"
SECTIONS: dict[str, type[BaseModel]] = {
    "Serving": ServingSettings,
    "Packages": PackageSettings,
    "Nix and queues": NixSettings,
    "Layers": LayerSettings,
    "Storage": StorageSettings,
    "Waiting": WaitingSettings,
    "Logging": LoggingSettings,
}
# Defaults that are computed.
COMPUTED = {
    "system": "this machine's",
    "build_cores": "the processors it may use",
    "build_jobs": "the processors it may use",
    "workers": "the processors it may use, by affinity and cgroup",
    "storage_path": "`storage` below the state path",
    "state_path": "`$STATE_DIRECTORY`, `$XDG_STATE_HOME` or `~/.local/state`, and `nixery` there",
}


def default(section: type[BaseModel], field: str) -> str:
    value = section.model_fields[field].default
    if field in COMPUTED:
        return COMPUTED[field]
    assert value is not PydanticUndefined, field
    match value:
        case None | "" | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case tuple():
            return f"`{','.join(map(str, value))}`"
        case _:
            return f"`{getattr(value, 'value', value)}`"


def table(section: type[BaseModel]) -> str:
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in section.model_fields.items():
        first, *others = variables(name)
        also = f" Also `{'`, `'.join(others)}`." if others else ""
        rows.append(f"| `{first}` | {default(section, name)} | {field.description}{also} |")
    return "\n".join(rows) + "\n"


def tables() -> str:
    return "\n".join(f"### {title}\n\n{table(section)}" for title, section in SECTIONS.items())


def test_page_lists_every_setting() -> None:
    page = PAGE.read_text()

    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == tables()


def test_sections_have_every_setting_in_the_same_order() -> None:
    names = [name for section in SECTIONS.values() for name in section.model_fields]

    assert names == list(Settings.model_fields)


if __name__ == "__main__":
    page = PAGE.read_text()
    head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(head + tables() + tail)

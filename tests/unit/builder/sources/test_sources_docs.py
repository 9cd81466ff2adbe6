"""docs/sources.md lists every setting of a source, with its default and its kinds."""

import re

import pytest

from app.builder.sources.definition import (
    ChannelDefinition,
    Definition,
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
    Policy,
)
from tests.docpages import ROOT

KINDS: dict[str, type[Definition]] = {
    "path": PathDefinition,
    "git": GitDefinition,
    "flake": FlakeDefinition,
    "channel": ChannelDefinition,
}
# A flake has inputs of its own, and refuses this setting.
REFUSED = {("flake", "search_path")}
PAGE = (ROOT / "docs" / "sources.md").read_text()
TABLE = PAGE.partition("## Settings of a source\n")[2].partition("\n### ")[0]
ROWS = re.findall(r"^\| (`.+?) \| (.*?) ?\| (.+) \|$", TABLE, re.MULTILINE)
# A meaning starts with the kinds that have the setting, unless all have it.
OF_KINDS = re.compile(r"((?:`(?:path|git|flake|channel)`(?:, )?)+):")


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def kinds_of(name: str) -> set[str]:
    having = {kind for kind, definition in KINDS.items() if name in definition.model_fields}
    return {kind for kind in having if (kind, name) not in REFUSED}


def test_each_setting_is_a_row_and_nothing_else() -> None:
    listed = [name for cell, _, _ in ROWS for name in names(cell)]
    fields = {name for definition in KINDS.values() for name in definition.model_fields}

    policies = {f"policy.{name}" for name in Policy.model_fields}
    assert sorted(listed) == sorted(fields - {"policy"} | policies)


@pytest.mark.parametrize(("cell", "meaning"), [(cell, meaning) for cell, _, meaning in ROWS])
def test_a_row_names_the_kinds_that_have_the_setting(cell: str, meaning: str) -> None:
    chosen = OF_KINDS.match(meaning)
    if chosen is None:
        return
    described = set(names(" ".join(OF_KINDS.findall(meaning))))
    for name in names(cell):
        assert described == kinds_of(name), name


@pytest.mark.parametrize(("cell", "default"), [(cell, default) for cell, default, _ in ROWS])
def test_a_row_has_the_default(cell: str, default: str) -> None:
    for name in names(cell):
        field = name.removeprefix("policy.")
        owners = [Policy] if field != name else [KINDS[kind] for kind in kinds_of(name)]
        for owner in owners:
            value = owner.model_fields[field].default
            if isinstance(value, bool):
                assert default == f"`{value}`".lower(), name
            elif isinstance(value, int | float):
                assert re.search(rf"\b{value:g}\b", default), name

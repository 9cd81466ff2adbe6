"""Tables of the documentation are whole: a row apart from its table is shown as text."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
DELIMITER = re.compile(r"\|(?: *:?-+:? *\|)+")


def tables() -> Iterator[tuple[str, list[str]]]:
    """Yield the page and the lines of each table, outside of code and comments."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("deploy/*.md")]:
        text = re.sub(
            r"^ *```.*?^ *```$|<!--.*?-->", "", page.read_text(), flags=re.MULTILINE | re.DOTALL
        )
        for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
            yield page.relative_to(ROOT).as_posix(), block.splitlines()


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_each_table_has_a_head() -> None:
    found = list(tables())

    assert len(found) > 50
    assert not [(page, t[0]) for page, t in found if len(t) < 3 or not DELIMITER.fullmatch(t[1])]


def test_each_row_has_a_cell_for_each_column() -> None:
    rows = [(page, row, columns(table[1])) for page, table in tables() for row in table]

    assert not [(page, row) for page, row, count in rows if columns(row) != count]

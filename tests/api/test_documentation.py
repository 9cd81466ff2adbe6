"""docs/wire.md names tests; it must not name any that are not there."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TRAPS = (PROJECT / "docs/wire.md").read_text().partition("\n## Traps\n")[2]
ROWS = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", TRAPS, re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_trap_has_a_test_or_a_reason() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 33))
    for _, _, shown in ROWS:
        assert TEST.search(shown) or shown.startswith("does not apply")


def test_every_test_named_is_there() -> None:
    named = [found for _, _, shown in ROWS for found in TEST.findall(shown)]

    assert len(named) > 30
    for path, name in named:
        assert f"def {name}(" in (PROJECT / path).read_text(), f"{path}::{name}"

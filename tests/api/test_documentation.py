"""docs/promises.md names tests; it must not name any that do not exist."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/promises.md").read_text()
TRAPS, _, FILES = PAGE.partition("\n## Traps\n")[2].partition("\n## Files of images\n")
ROWS = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", TRAPS, re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_trap_has_a_test_or_a_reason() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 33))
    for _, _, shown in ROWS:
        assert TEST.search(shown) or shown.startswith("does not apply")


def test_every_test_of_a_trap_exists() -> None:
    named = [found for _, _, shown in ROWS for found in TEST.findall(shown)]

    assert len(named) > 30
    for path, name in named:
        assert f"def {name}(" in (PROJECT / path).read_text(), f"{path}::{name}"


def test_every_test_of_files_of_images_exists() -> None:
    files = set(re.findall(r"`(test_\w+\.py)`", FILES))
    functions = set(re.findall(r"`(test_\w+)`", FILES))
    tests = "".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))

    assert len(files) > 10
    assert len(functions) > 5
    assert files - {path.name for path in (PROJECT / "tests/e2e").glob("test_*.py")} == set()
    assert functions - set(re.findall(r"def (test_\w+)\(", tests)) == set()

"""Phrases that CONTRIBUTING.md advises against are counted, and may only become fewer.

They are counted in the names of functions and classes, too.  A use that is right is marked where it
stands, by ``plain: ok`` in a comment on its line; a line of a file without comments is listed in
allowed.txt as ``path: text``.
"""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COUNTS = tomllib.loads((HERE / "counts.toml").read_text())
SUFFIXES = frozenset(
    {".c", ".conf", ".md", ".nix", ".py", ".service", ".sh", ".toml", ".yaml", ".yml"}
)
MARK = "plain: ok"


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines()]


def _pattern() -> re.Pattern[str]:
    phrases = [line for line in _lines(HERE / "words.txt") if line and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE)


ADVISED_AGAINST = _pattern()
NAME = re.compile(r"(?:async )?(?:def|class) (\w+)")
ALLOWED = frozenset(_lines(HERE / "allowed.txt"))


def _files(place: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", place],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.splitlines()]
    return [file for file in files if file.suffix in SUFFIXES and file.exists()]


def _texts(line: str) -> list[str]:
    """Return the line, and the name that it defines as words."""
    defined = NAME.match(line)
    return [line] if defined is None else [line, defined[1].replace("_", " ")]


def _found(file: Path) -> list[str]:
    name = file.relative_to(ROOT).as_posix()
    return [
        f"{name}:{number}: {line}"
        for number, line in enumerate(_lines(file), 1)
        if MARK not in line and f"{name}: {line}" not in ALLOWED
        for text in _texts(line)
        for _ in ADVISED_AGAINST.finditer(text)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("place", COUNTS)
def test_phrases_become_fewer(place: str) -> None:
    found = [entry for file in _files(place) for entry in _found(file)]

    # Also when there are fewer: the number is to be lowered in the same commit.
    assert len(found) == COUNTS[place], "\n".join(found[:20])


@pytest.mark.parametrize("place", ["app", "docs", "README.md"])
def test_phrases_are_rarer_than_one_in_a_thousand_lines(place: str) -> None:
    lines = sum(len(_lines(file)) for file in _files(place))

    assert COUNTS[place] <= lines / 1000

"""Pages of the documentation can be read in ten minutes, at 230 words a minute."""

import re
from collections.abc import Iterator

import pytest

from tests import docpages
from tests.docpages import PAGES, ROOT

pytestmark = pytest.mark.slow

WORDS = 2300
# Pages to be shortened, with their bounds.  The list may only shrink, and so may the bounds.
LONGER: dict[str, int] = {}
# Read from a heading on, by those who come from another version.
LISTS = frozenset({"CHANGELOG.md"})


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page without code, and of each part of a list."""
    for page in PAGES:
        name, text = page.relative_to(ROOT).as_posix(), docpages.prose(page)
        if name in LISTS:
            yield from ((f"{name}: {part[:30]}", part) for part in re.split("(?m)^### ", text))
        else:
            yield name, text


def counts() -> dict[str, int]:
    return {name: len(text.split()) for name, text in texts()}


def test_pages_take_ten_minutes() -> None:
    found = {name: count for name, count in counts().items() if count >= WORDS}

    assert found.keys() == LONGER.keys()


def test_longer_pages_keep_their_bounds() -> None:
    assert all(count < LONGER[name] for name, count in counts().items() if name in LONGER)


def test_code_blocks_do_not_count() -> None:
    page = next(page for page in PAGES if page.name == "layering.md")

    assert counts()["docs/layering.md"] < len(page.read_text().split())

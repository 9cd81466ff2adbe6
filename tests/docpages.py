"""The pages of the documentation: their code blocks, headings, links and code spans."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "deploy/README.md",
)

_FENCE = re.compile(r"^( *)```(\S*)$")
_MARK = re.compile(
    r"^ *<!-- (?P<kind>not run|not parsed|not a server configuration): (?P<reason>.+) -->$"
)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://)([^)\s]*)\)")
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block; ``mark`` is the comment before it that exempts it from a check."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages, or those in one of the languages."""
    found = [block for page in PAGES for block in _blocks(page)]
    return [block for block in found if block.language in languages] if languages else found


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        if fence := _FENCE.match(lines[number]):
            indent, language = fence.groups()
            end = lines.index(f"{indent}```", number + 1)
            text = "\n".join(line.removeprefix(indent) for line in lines[number + 1 : end])
            mark = _MARK.match(lines[number - 1]) if number else None
            yield Block(page, number + 1, language, mark["kind"] if mark else "", f"{text}\n")
            number = end
        number += 1


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as forges make them."""
    titles = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    """Return the targets of links to other pages, files and anchors of the tree."""
    return _LINK.findall(prose(page))


def spans(page: Path) -> list[str]:
    """Return the code spans of the page."""
    return _SPAN.findall(prose(page))

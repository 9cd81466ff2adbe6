"""Render the documentation as a site.

usage: python -m scripts.book [DIRECTORY]

DIRECTORY is .state/book by default; the site is in DIRECTORY/site, for NIXERY_WEB_DIR or any
server of files. The contents are the pages that docs/README.md lists, in its order.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.setup import ROOT

# Files outside of docs/ that pages link to.
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "deploy")
_GROUP = re.compile(r"^For (\w+)", re.MULTILINE)
_PAGE = re.compile(r"\[([^\]]+)\]\(([\w./-]+\.md)\)")


def main() -> int:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".state" / "book"
    print(render(directory.resolve()))
    return 0


def render(directory: Path) -> Path:
    """Write the site below the directory, and return it. Blocking."""
    pages = directory / "pages"
    for old in (pages, directory / "site"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages / "docs")
    for name in BESIDE:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, pages / name)
    config = directory / "zensical.toml"
    config.write_text((ROOT / "zensical.toml").read_text().replace('"NAV"', contents()))
    beside = Path(sys.executable).with_name("zensical")
    program = beside if beside.exists() else "zensical"
    command = [program, "build", "--strict", "--clean", "--config-file", config]
    done = subprocess.run(
        command, cwd=directory, check=False, text=True, stdout=subprocess.PIPE, stderr=sys.stdout
    )
    if done.returncode:
        sys.exit(f"book: zensical failed: {done.stdout}")
    return directory / "site"


def contents() -> str:
    """Return the table of contents as a value of TOML."""
    parts = ['{ "Nixery" = "README.md" }', '{ "All pages" = "docs/README.md" }']
    for title, pages in groups():
        inner = ", ".join(f"{{ {json.dumps(name)} = {json.dumps(path)} }}" for name, path in pages)
        parts.append(f"{{ {json.dumps(title)} = [{inner}] }}")
    return f"[{', '.join(parts)}]"


def groups() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the kinds of readers, each with titles and paths of pages."""
    text = (ROOT / "docs" / "README.md").read_text()
    starts = [*_GROUP.finditer(text)]
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        section = text[start.end() : end.start() if end else None]
        pages = [
            (title[:1].upper() + title[1:], (ROOT / "docs" / path).resolve().relative_to(ROOT))
            for title, path in _PAGE.findall(section)
        ]
        yield start[1].capitalize(), [(title, path.as_posix()) for title, path in pages]


if __name__ == "__main__":
    sys.exit(main())

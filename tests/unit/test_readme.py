"""What the README promises in passing exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def rows(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| `NIXERY_")]


def test_its_settings_are_rows_of_the_whole_table() -> None:
    whole = rows((ROOT / "docs" / "configuration.md").read_text())

    assert rows(README)
    assert set(rows(README)) <= set(whole)


def test_its_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(re.findall(r"^make ([a-z-]+)$", README, re.MULTILINE))

    assert commands == {"demo", "test"}
    assert commands <= targets


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

"""Draw the estimates of bench/sharing.py for README.

usage: python bench/sharing.py --seed 3 | python -m scripts.chart

Reads the bench's output from standard input, and writes docs/pictures/sharing.svg: the seconds of a
pull by a client with 45 ms for each layer and 100 MB/s.
"""

import re
import sys

from scripts.setup import ROOT

PICTURE = ROOT / "docs" / "pictures" / "sharing.svg"
# Names of the bench's rows, and what the chart calls them.
ROWS = {
    "one layer": "one layer for each image",
    "most popular alone (nix2container)": "popular packages alone",
    "dominator tree (Nixery)": "Google's Nixery",
    "ours, shipped plan": "this server",
}
COLUMNS = ("first pull", "next image", "after an update")
FONT = 'font-family="sans-serif" font-size="13"'
WIDTH, BAR, LEFT, TOP = 720, 18, 190, 34


def main() -> int:
    figures = read(sys.stdin.read())
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(figures))
    return 0


def read(text: str) -> dict[str, tuple[float, ...]]:
    """Return the seconds of the rows: a first pull, the mean of a series, an update."""
    table = text.partition("seconds a pull")[2]
    found = {}
    for name in ROWS:
        row = re.search(
            rf"^{re.escape(name)} +\d+ +([\d.]+) +([\d.]+) +([\d.]+)", table, re.MULTILINE
        )
        if row is None:
            sys.exit(f"chart: no row {name!r} in the output of the bench")
        found[name] = tuple(float(number) for number in row.groups())
    return found


def draw(figures: dict[str, tuple[float, ...]]) -> str:
    """Return the chart: a group of bars for each column, on a scale of its own."""
    group = TOP + BAR * len(ROWS)
    height = group * len(COLUMNS) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        "<title>Seconds of a pull, by the way in which layers are made</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for column, title in enumerate(COLUMNS):
        most = max(row[column] for row in figures.values())
        y = group * column + 22
        parts.append(f'<text x="{LEFT}" y="{y}" font-weight="bold">{title}, seconds</text>')
        for name, row in figures.items():
            y += BAR
            length = (WIDTH - LEFT - 70) * row[column] / most
            colour = "#2357b8" if name.startswith("ours") else "#9aa5b8"
            parts += [
                f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{ROWS[name]}</text>',
                f'<rect x="{LEFT}" y="{y - 11}" width="{max(length, 1):.0f}" height="13" fill="{colour}"/>',
                f'<text x="{LEFT + max(length, 1) + 6:.0f}" y="{y}">{row[column]:g}</text>',
            ]
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    sys.exit(main())

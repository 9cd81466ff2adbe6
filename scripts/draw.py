"""Draw the packages of ``app`` and the imports between them, from the code.

usage: python -m scripts.draw [--write]

Prints two Mermaid flowcharts: the packages of ``app``, and those of ``app.builder``. An arrow is
an import. Vocabulary (errors, failure, oci, reference, request) and telemetry are left out: every
package may import them. With --write the drawing in docs/architecture.md is replaced.
"""

import sys
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
BEGIN = "<!-- drawing: begin (make drawing) -->\n"
END = "<!-- drawing: end -->\n"
LEFT_OUT = frozenset({"__main__", "errors", "failure", "oci", "reference", "request", "telemetry"})


def arrows(graph: grimp.ImportGraph, parent: str) -> set[tuple[str, str]]:
    """Return the imports between the children of a package, by the children's names."""
    depth = parent.count(".") + 1
    found = set()
    for module in graph.modules:
        if not module.startswith(f"{parent}."):
            continue
        importer = module.split(".")[depth]
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(f"{parent}."):
                target = imported.split(".")[depth]
                if importer != target:
                    found.add((importer, target))
    return found


def flowchart(parent: str, found: set[tuple[str, str]]) -> str:
    """Return a title with the counts, and a Mermaid flowchart."""
    drawn = sorted(arrow for arrow in found if not {*arrow} & LEFT_OUT)
    packages = {name for arrow in drawn for name in arrow}
    lines = [f"    {importer} --> {target}" for importer, target in drawn]
    title = f"`{parent}`: {len(packages)} packages, {len(drawn)} arrows"
    return "\n".join([title, "", "```mermaid", "flowchart TD", *lines, "```"]) + "\n"


def drawing() -> str:
    graph = grimp.build_graph("app")
    return "\n".join(flowchart(parent, arrows(graph, parent)) for parent in ("app", "app.builder"))


def with_drawing(page: str) -> str:
    """Return the page with the drawing between its two marks.  Raises ValueError without marks."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}{drawing()}{END}{after}"


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(with_drawing(PAGE.read_text()))
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print(drawing(), end="")


if __name__ == "__main__":
    main()

"""The drawing in docs/architecture.md is what the code imports."""

import re

import grimp
import pytest

from scripts.draw import LEFT_OUT, PAGE, arrows, with_drawing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("app")


def test_docs_show_the_packages_that_there_are() -> None:
    page = PAGE.read_text()

    assert page == with_drawing(page), "run `make drawing`"


def test_the_table_has_every_import_of_a_package(graph: grimp.ImportGraph) -> None:
    found = arrows(graph, "app")
    rows = re.findall(r"^\| (`.+?) \| .+ \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    listed = {
        package: set(re.findall(r"\w+", cell))
        for packages, cell in rows
        for package in re.findall(r"`(\w+)`", packages)
    }

    assert {importer for importer, _ in found} <= listed.keys()
    for importer, imported in found:
        # Rows that list no packages have one of these.
        if not {"everything", "verb", "each"} & listed[importer]:
            assert imported in listed[importer] | LEFT_OUT, f"{importer} -> {imported}"


def test_the_builder_stays_small_enough_to_draw(graph: grimp.ImportGraph) -> None:
    found = arrows(graph, "app.builder")

    assert len({package for arrow in found for package in arrow}) <= 10
    assert len(found) <= 25


def test_imports_of_packages_have_no_circle(graph: grimp.ImportGraph) -> None:
    for parent in ("app", "app.builder"):
        found = arrows(graph, parent)
        left = {package for arrow in found for package in arrow}
        while left:
            leaves = {p for p in left if not any(a == p and b in left for a, b in found)}
            assert leaves, f"a circle among {sorted(left)}"
            left -= leaves

"""docs/errors.md lists every error of the interface, as the code defines it.

``python -m tests.unit.routers.test_errors_docs`` updates the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import app.errors
from app.errors import RegistryError
from app.routers.errors import status_of

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
BEGIN, END = "<!-- errors -->\n", "<!-- end of errors -->"


def errors(parent: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    for child in parent.__subclasses__():
        if child.__module__ == app.errors.__name__:
            yield child
            yield from errors(child)


def row(error: type[RegistryError]) -> str:
    words = re.sub(r"(?<!^)([A-Z])", r" \1", error.__name__).lower()
    status = status_of(error)
    meaning = (vars(error)["__doc__"] or "").partition("\n")[0]
    return f"| {words} | `{error.code}` | {int(status)} | {meaning} |\n"


def table() -> str:
    head = "| error | code | status | meaning |\n|---|---|---|---|\n"
    return head + "".join(row(error) for error in errors())


def test_the_page_has_every_error() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == table()


def test_every_error_has_a_meaning_of_its_own() -> None:
    meanings = [row(error).split("|")[-2].strip() for error in errors()]

    assert all(meanings)
    assert len(set(meanings)) == len(meanings)


if __name__ == "__main__":
    start, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{start}{BEGIN}{table()}{END}{rest.partition(END)[2]}")

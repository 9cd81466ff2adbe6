"""docs/api.md lists every operation and document of the interface, as the code describes them.

``python -m tests.unit.routers.test_api_docs`` updates the page.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from fastapi import FastAPI

from app.routers.register import include_routers
from app.routers.web.api_outline import Field, Outcome, documents, operations

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
BEGIN, END = "<!-- api -->\n", "<!-- end of api -->"


def cells(*texts: str) -> str:
    escaped = (text.replace("|", r"\|").replace("\n", " ") for text in texts)
    return f"| {' | '.join(escaped)} |"


def members(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        need = "" if field.required else ", optional"
        yield cells(f"`{field.name}`", f"{field.place} {field.type}{need}".strip(), field.meaning)


def statuses(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield a row for each outcome; those without a meaning of their own share one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        alike.setdefault((one.document, one.meaning), []).append(one.status)
    for (document, meaning), codes in alike.items():
        yield cells(", ".join(codes), document, meaning)


def lines() -> Iterator[str]:
    app = FastAPI()
    include_routers(app)
    description = app.openapi()
    for operation in operations(description):
        yield f"### {operation.methods} {operation.path}\n"
        yield f"{operation.summary}.\n"
        if operation.parameters:
            yield from ("| parameter | type | meaning |", "|---|---|---|")
            yield from (*members(operation.parameters), "")
        yield from ("| status | body | meaning |", "|---|---|---|")
        yield from statuses(operation.outcomes)
        yield ""
    yield "## Documents\n"
    for name, fields in documents(description):
        yield f"### {name}\n"
        yield from ("| member | type | meaning |", "|---|---|---|")
        yield from (*members(fields), "")


def reference() -> str:
    return "\n".join(lines())


def test_the_page_has_every_operation_and_document() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == reference()


if __name__ == "__main__":
    start, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{start}{BEGIN}{reference()}{END}{rest.partition(END)[2]}")

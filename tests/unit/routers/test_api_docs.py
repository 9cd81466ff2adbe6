"""docs/api.md lists every operation and document of the interface, as the code describes them.

``python -m tests.unit.routers.test_api_docs`` updates the page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI

from app.routers.register import include_routers
from app.routers.web.api_outline import Field, Outcome, documents, operations

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
BEGIN, END = "<!-- api -->\n", "<!-- end of api -->"
# A document with so many members of another one refers to it in place of repeating them.
MEMBERS_SHARED = 4


def item(name: str, type_: str, meaning: str) -> str:
    parts = [name, f" ({type_})" if type_ else "", f": {meaning}" if meaning else ""]
    return "- " + "".join(parts).replace("\n", " ")


def members(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        need = "" if field.required else ", optional"
        yield item(f"`{field.name}`", f"{field.place} {field.type}{need}".strip(), field.meaning)


def statuses(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield an item for each outcome; those without a meaning of their own share one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        alike.setdefault((one.document, one.meaning), []).append(one.status)
    for (document, meaning), codes in alike.items():
        yield item(", ".join(codes), document, meaning)


def part(fields: Sequence[Field], named: Mapping[str, Sequence[Field]]) -> str:
    """Return the name of the largest other document whose members are all among these."""
    contained = [
        (len(others), name)
        for name, others in named.items()
        if MEMBERS_SHARED <= len(others) < len(fields) and all(one in fields for one in others)
    ]
    return max(contained, default=(0, ""))[1]


def lines() -> Iterator[str]:
    app = FastAPI()
    include_routers(app)
    description = app.openapi()
    for operation in operations(description):
        yield f"### {operation.methods} {operation.path}\n"
        yield f"{operation.summary}.\n"
        yield from members(operation.parameters)
        if operation.parameters:
            yield "\nResponses:\n"
        yield from statuses(operation.outcomes)
        yield ""
    yield "## Documents\n"
    named = dict(documents(description))
    for name, fields in named.items():
        yield f"### {name}\n"
        if shared := part(fields, named):
            yield f"The members of {shared}, and:\n"
        yield from members(one for one in fields if one not in named.get(shared, ()))
        yield ""


def reference() -> str:
    return "\n".join(lines())


def test_the_page_has_every_operation_and_document() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == reference()


if __name__ == "__main__":
    start, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{start}{BEGIN}{reference()}{END}{rest.partition(END)[2]}")

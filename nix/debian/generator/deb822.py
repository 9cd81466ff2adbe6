"""The paragraphs of Debian's control files: package indices and apt's sources."""

from collections.abc import Iterable, Iterator


def paragraphs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the fields of each paragraph; continuation lines are kept after a newline.

    Comment lines are ignored everywhere. Field names are as written.
    """
    fields: dict[str, str] = {}
    name = ""
    for raw in lines:
        line = raw.rstrip("\n")
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if fields:
        yield fields


def formatted(fields: dict[str, str]) -> str:
    """Return the text of one paragraph, as `paragraphs` reads it."""
    return "".join(f"{name}: {value}\n" for name, value in fields.items())

"""Write a SQLite database file: the same bytes whatever SQLite is installed.

SQLite's own files depend on its version, in some bytes of each page
(docs/decisions/sqlite-file.md).  This writes tables and indexes once, in their final order
(sqlite.org, "Database File Format"); SQLite reads and changes the file like its own.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Value = int | str | None
Row = Sequence[Value]

_PAGE = 4096
_LEAF_HEADER, _INNER_HEADER, _POINTER = 8, 12, 2
# Types of pages: (inner, leaf).
_TABLE = (5, 13)
_INDEX = (2, 10)
# What fits on a page in one piece; longer content would need pages of another type.
_LONGEST_ROW, _LONGEST_KEY = 4061, 1002
# A version of SQLite that wrote the file, as the header demands: any that knows format 4.
_WRITTEN_BY = 3_008_000


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``rows`` are row numbers with their values, in ascending order."""

    name: str
    sql: str
    rows: Sequence[tuple[int, Row]] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table.

    ``keys`` are sorted, and the last value of each is the number of its row.  ``sql`` is None for
    an index that SQLite makes for a constraint.
    """

    name: str
    table: str
    sql: str | None
    keys: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of a table."""

    name: str
    table: str
    sql: str


def database(parts: Sequence[Table | Index | Trigger]) -> bytes:
    """Return the file.  Raises ValueError for content that needs more than a page."""
    pages = [b""]  # the first is the schema's
    schema: list[tuple[int, Row]] = []
    for number, part in enumerate(parts, 1):
        schema.append((number, _description(pages, part)))
    cells = [_row_cell(number, row) for number, row in schema]
    pages[0] = _page(_TABLE[1], cells, before=_header(len(pages)))
    return b"".join(pages)


def _description(pages: list[bytes], part: Table | Index | Trigger) -> Row:
    """Append the pages of a part, and return its row in the schema."""
    match part:
        case Table(name, sql, rows):
            return ("table", name, name, _table(pages, rows), sql)
        case Index(name, table, constraint, keys):
            return ("index", name, table, _index(pages, keys), constraint)
        case Trigger(name, table, sql):
            return ("trigger", name, table, 0, sql)


def _header(pages: int) -> bytes:
    numbers = (1, pages, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0)
    made = b"SQLite format 3\0" + struct.pack(">H6B12I", _PAGE, 1, 1, 0, 64, 32, 32, *numbers)
    return made.ljust(92, b"\0") + struct.pack(">2I", 1, _WRITTEN_BY)


def _table(pages: list[bytes], rows: Sequence[tuple[int, Row]]) -> int:
    """Append the pages of a table, and return the number of its root."""
    cells = [_row_cell(number, row) for number, row in rows]
    children, keys, start, used = [], [], 0, 0
    for place, cell in enumerate(cells):
        cost = len(cell) + _POINTER
        if used + cost > _PAGE - _LEAF_HEADER:
            children.append(_append(pages, _page(_TABLE[1], cells[start:place])))
            keys.append(_varint(rows[place - 1][0]))
            start, used = place, 0
        used += cost
    children.append(_append(pages, _page(_TABLE[1], cells[start:])))
    return _inner(pages, _TABLE[0], children, keys)


def _index(pages: list[bytes], keys: Sequence[Row]) -> int:
    cells = [_sized(_record(key), _LONGEST_KEY) for key in keys]
    spans = list(_spans(cells, _PAGE - _LEAF_HEADER, extra=0))
    children = [_append(pages, _page(_INDEX[1], cells[start:end])) for start, end in spans]
    between = [cells[end] for _, end in spans[:-1]]
    return _inner(pages, _INDEX[0], children, between)


def _inner(pages: list[bytes], kind: int, children: list[int], keys: list[bytes]) -> int:
    """Append the pages above ``children``, which ``keys`` separate, and return the root."""
    while len(children) > 1:
        above = []
        spans = list(_spans(keys, _PAGE - _INNER_HEADER, extra=4))
        for start, end in spans:
            cells = [struct.pack(">I", children[i]) + keys[i] for i in range(start, end)]
            above.append(_append(pages, _page(kind, cells, last=children[end])))
        children, keys = above, [keys[end] for _, end in spans[:-1]]
    return children[0]


def _spans(cells: Sequence[bytes], room: int, *, extra: int) -> Iterator[tuple[int, int]]:
    """Cut into pages; the cell between two spans goes to the page above.  None is empty."""
    start, used = 0, 0
    for place, cell in enumerate(cells):
        cost = len(cell) + extra + _POINTER
        if used + cost > room:
            # The last page needs a cell too.
            end = place if place < len(cells) - 1 else place - 1
            yield start, end
            start, used = end + 1, cost if end < place else 0
        else:
            used += cost
    yield start, len(cells)


def _page(
    kind: int, cells: Sequence[bytes], *, before: bytes = b"", last: int | None = None
) -> bytes:
    content = b"".join(reversed(cells))
    offset, offsets = _PAGE, []
    for cell in cells:
        offset -= len(cell)
        offsets.append(offset)
    made = before + struct.pack(">BHHHB", kind, 0, len(cells), offset, 0)
    made += b"" if last is None else struct.pack(">I", last)
    made += struct.pack(f">{len(cells)}H", *offsets)
    if len(made) > offset:
        raise ValueError("more than one page")
    return made.ljust(offset, b"\0") + content


def _append(pages: list[bytes], page: bytes) -> int:
    pages.append(page)
    return len(pages)


def _row_cell(number: int, row: Row) -> bytes:
    record = _record(row)
    if len(record) > _LONGEST_ROW:
        raise ValueError("a row of more than one page")
    return _varint(len(record)) + _varint(number) + record


def _sized(record: bytes, longest: int) -> bytes:
    if len(record) > longest:
        raise ValueError("a key of more than a part of a page")
    return _varint(len(record)) + record


def _record(row: Row) -> bytes:
    types, bodies = zip(*map(_value, row), strict=True)
    header = b"".join(map(_varint, types))
    return _varint(len(header) + 1) + header + b"".join(bodies)


def _value(value: Value) -> tuple[int, bytes]:
    match value:
        case None:
            return 0, b""
        case 0 | 1:
            return 8 + value, b""
        case int():
            for kind, size in enumerate((1, 2, 3, 4, 6, 8), 1):
                if value.bit_length() < 8 * size:
                    return kind, value.to_bytes(size, "big", signed=True)
            raise ValueError("an integer of more than 64 bits")
        case str():
            body = value.encode()
            return 13 + 2 * len(body), body


def _varint(number: int) -> bytes:
    digits = [number & 127]
    while number := number >> 7:
        digits.append(number & 127 | 128)
    return bytes(reversed(digits))

"""Gives an ELF file another interpreter and library path; see `elf` for the method."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from nix.debian.builder.elf import (
    DT_NULL,
    DT_RPATH,
    DT_RUNPATH,
    DT_STRSZ,
    DT_STRTAB,
    ENTRY,
    PROGRAM_HEADER,
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_GNU_RELRO,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    READ,
    SECTION_HEADER,
    SHF_ALLOC,
    SHT_DYNAMIC,
    SHT_PROGBITS,
    SHT_STRTAB,
    WRITE,
    Elf,
    NoSpareHeader,
    Section,
    Segment,
    file_offset,
)

# In the order in which they are given up: a note before properties before relocation's seal.
SPARE_KINDS = (PT_NOTE, PT_GNU_PROPERTY, PT_GNU_RELRO)
SMALLEST_PAGE = 0x1000


@dataclass(slots=True)
class Appendix:
    """The segment being put together, and what changes because of it."""

    offset: int
    address: int
    segments: list[Segment]
    sections: list[Section]
    flags: int = READ
    content: bytearray = field(default_factory=bytearray)
    writes: list[tuple[int, bytes]] = field(default_factory=list)

    def append(self, data: bytes, align: int = 1) -> int:
        """Returns where the data begins, counted from the start of the segment."""
        self.content.extend(b"\0" * (-len(self.content) % align))
        start = len(self.content)
        self.content.extend(data)
        return start

    def move_section(self, kind: int, old_offset: int, start: int, size: int) -> None:
        self.sections = [
            replace(section, address=self.address + start, offset=self.offset + start, size=size)
            if section.kind == kind and section.offset == old_offset and section.flags & SHF_ALLOC
            else section
            for section in self.sections
        ]

    def move_segment(self, kind: int, start: int, size: int) -> None:
        self.segments = [
            segment.moved(self.offset + start, self.address + start, size)
            if segment.kind == kind
            else segment
            for segment in self.segments
        ]


def change(path: Path, elf: Elf, *, interpreter: str | None, runpath: tuple[str, ...]) -> None:
    """Writes the changes into the file. An empty library path, or no interpreter: that stays.

    Raises NoSpareHeader.
    """
    spare = spare_segment(elf)
    page = max([SMALLEST_PAGE, *(s.align for s in elf.segments if s.kind == PT_LOAD)])
    offset = (elf.size + 15) & ~15
    top = max(s.address + s.memory for s in elf.segments if s.kind == PT_LOAD)
    # Offset and address must agree modulo the page, or the kernel cannot map the segment.
    address = -(-top // page) * page + offset % page
    appendix = Appendix(offset, address, list(elf.segments), list(elf.sections))
    if runpath:
        put_runpath(appendix, elf, ":".join(runpath))
    if interpreter:
        put_interpreter(appendix, interpreter)
    del appendix.segments[spare]
    last = max(i for i, s in enumerate(appendix.segments) if s.kind == PT_LOAD)
    size = len(appendix.content)
    appendix.segments.insert(
        last + 1, Segment(PT_LOAD, appendix.flags, offset, address, address, size, size, page)
    )
    write(path, elf, appendix)


def spare_segment(elf: Elf) -> int:
    """The index of the header to give up; of several notes the most aligned: the properties, not the build id."""
    spares = [
        (SPARE_KINDS.index(segment.kind), -segment.align, index)
        for index, segment in enumerate(elf.segments)
        if segment.kind in SPARE_KINDS
    ]
    if not spares:
        raise NoSpareHeader("an ELF file has no program header to give up")
    return min(spares)[2]


def put_runpath(appendix: Appendix, elf: Elf, runpath: str) -> None:
    strings = elf.strings + runpath.encode() + b"\0"
    start = appendix.append(strings, 8)
    old_strings = dict(reversed(elf.dynamic))[DT_STRTAB]
    appendix.move_section(SHT_STRTAB, file_offset(elf.segments, old_strings), start, len(strings))
    replaced = {DT_STRTAB: appendix.address + start, DT_STRSZ: len(strings)}
    entries = [
        (tag, replaced.get(tag, value))
        for tag, value in elf.dynamic
        if tag not in (DT_RPATH, DT_RUNPATH)
    ]
    entries += [(DT_RUNPATH, len(elf.strings)), (DT_NULL, 0)]
    table = b"".join(ENTRY.pack(*entry) for entry in entries)
    old_table = next(s for s in elf.segments if s.kind == PT_DYNAMIC)
    if len(entries) <= elf.room:
        padding = b"\0" * (ENTRY.size * (elf.room - len(entries)))
        appendix.writes.append((old_table.offset, table + padding))
        return
    appendix.flags = READ | WRITE  # the loader writes into the table
    start = appendix.append(table, 16)
    appendix.move_section(SHT_DYNAMIC, old_table.offset, start, len(table))
    appendix.move_segment(PT_DYNAMIC, start, len(table))


def put_interpreter(appendix: Appendix, interpreter: str) -> None:
    data = interpreter.encode() + b"\0"
    start = appendix.append(data)
    for segment in appendix.segments:
        if segment.kind == PT_INTERP:
            appendix.move_section(SHT_PROGBITS, segment.offset, start, len(data))
    appendix.move_segment(PT_INTERP, start, len(data))


def write(path: Path, elf: Elf, appendix: Appendix) -> None:
    headers = b"".join(
        PROGRAM_HEADER.pack(
            s.kind, s.flags, s.offset, s.address, s.physical, s.size, s.memory, s.align
        )
        for s in appendix.segments
    )
    sections = b"".join(
        SECTION_HEADER.pack(
            s.name, s.kind, s.flags, s.address, s.offset, s.size, s.link, s.info, s.align, s.entry
        )
        for s in appendix.sections
    )
    with path.open("r+b") as file:
        for offset, data in (
            *appendix.writes,
            (appendix.offset, bytes(appendix.content)),
            (elf.segments_offset, headers),
            (elf.sections_offset, sections),
        ):
            if data:
                file.seek(offset)
                file.write(data)

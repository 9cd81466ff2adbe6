"""ELF files: what they ask for, and how to make them ask for store paths.

Changing the interpreter or the library path appends one segment to the file. It holds the
new strings (and the dynamic section, where that has no room for one more entry), and its
program header takes the place of a note's. Nothing that exists moves: programs linked by Go
break when what lies at the start of the file is moved.
"""

import struct
from dataclasses import dataclass, replace
from pathlib import Path

MAGIC = b"\x7fELF"
CLASS64_LITTLE = b"\x02\x01"
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
ENTRY = struct.Struct("<QQ")

EXECUTABLE, SHARED = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_PROPERTY, PT_GNU_RELRO = 0x6474E553, 0x6474E552
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 15, 29
SHT_PROGBITS, SHT_STRTAB, SHT_DYNAMIC = 1, 3, 6
SHF_ALLOC = 2
READ, WRITE = 4, 2


class NotElf(Exception):
    """Not an ELF program or library for the machine in question."""


class NoSpareHeader(Exception):
    """No program header of the file can be done without."""


@dataclass(frozen=True, slots=True)
class Segment:
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    align: int

    def moved(self, offset: int, address: int, size: int) -> "Segment":
        return replace(
            self, offset=offset, address=address, physical=address, size=size, memory=size
        )


@dataclass(frozen=True, slots=True)
class Section:
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


@dataclass(frozen=True, slots=True)
class Elf:
    """A dynamically linked 64-bit little-endian program or library.

    `dynamic` is the dynamic section up to its end mark; `room` counts the entries it has
    space for, end mark included.
    """

    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    segments_offset: int
    sections_offset: int
    size: int
    interpreter: str | None
    dynamic: tuple[tuple[int, int], ...]
    room: int
    strings: bytes

    def text(self, offset: int) -> str:
        return self.strings[offset : self.strings.index(b"\0", offset)].decode()

    @property
    def needed(self) -> tuple[str, ...]:
        return tuple(self.text(value) for tag, value in self.dynamic if tag == DT_NEEDED)

    @property
    def runpath(self) -> tuple[str, ...]:
        return tuple(
            directory
            for tag, value in self.dynamic
            if tag in (DT_RPATH, DT_RUNPATH)
            for directory in self.text(value).split(":")
            if directory
        )


def read_elf(path: Path, machine: int) -> Elf:
    """Raises NotElf, also for a static program and for another machine's."""
    try:
        return parse_elf(path.read_bytes(), machine)
    except struct.error:
        raise NotElf("cut short") from None


def parse_elf(content: bytes, machine: int) -> Elf:
    if len(content) < 64 or content[:6] != MAGIC + CLASS64_LITTLE:
        raise NotElf("not a 64-bit little-endian ELF file")
    kind, for_machine = struct.unpack_from("<HH", content, 16)
    if for_machine != machine or kind not in (EXECUTABLE, SHARED):
        raise NotElf("for another machine, or not to be run")
    segments_offset, sections_offset = struct.unpack_from("<QQ", content, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from(
        "<HHHH", content, 54
    )
    segments = tuple(
        Segment(*PROGRAM_HEADER.unpack_from(content, segments_offset + index * segment_size))
        for index in range(segment_count)
    )
    sections = tuple(
        Section(*SECTION_HEADER.unpack_from(content, sections_offset + index * section_size))
        for index in range(section_count if sections_offset else 0)
    )
    by_kind = {segment.kind: segment for segment in reversed(segments)}
    if PT_DYNAMIC not in by_kind:
        raise NotElf("not dynamically linked")
    table = by_kind[PT_DYNAMIC]
    entries = [
        ENTRY.unpack_from(content, table.offset + at)
        for at in range(0, table.size - 15, ENTRY.size)
    ]
    end = next((index for index, (tag, _) in enumerate(entries) if tag == DT_NULL), 0)
    values = dict(reversed(entries[:end]))
    if DT_STRTAB not in values:
        raise NotElf("without strings")
    start = file_offset(segments, values[DT_STRTAB])
    interpreter = None
    if PT_INTERP in by_kind:
        named = by_kind[PT_INTERP]
        interpreter = content[named.offset : named.offset + named.size].rstrip(b"\0").decode()
    return Elf(
        segments=segments,
        sections=sections,
        segments_offset=segments_offset,
        sections_offset=sections_offset,
        size=len(content),
        interpreter=interpreter,
        dynamic=tuple(entries[:end]),
        room=len(entries),
        strings=content[start : start + values[DT_STRSZ]],
    )


def file_offset(segments: tuple[Segment, ...], address: int) -> int:
    for segment in segments:
        if segment.kind == PT_LOAD and 0 <= address - segment.address < segment.size:
            return address - segment.address + segment.offset
    raise NotElf("an address outside every segment")

import struct
from pathlib import Path

import pytest

from nix.debian.builder.elf import NoSpareHeader, NotElf, Segment, read_elf
from nix.debian.builder.elfpatch import change
from tests.unit.debian.builder.elves import NOTE, PROPERTY, RELRO, Sample

LOADER = "/nix/store/00000000000000000000000000000000-glibc/lib/ld-linux-x86-64.so.2"
LIBRARIES = ("/nix/store/00000000000000000000000000000000-glibc/lib", "$ORIGIN/../lib")
LOAD, DYNAMIC, INTERPRETER = 1, 2, 3


def put(path: Path, sample: Sample) -> Path:
    path.write_bytes(sample.content())
    return path


def changed(path: Path, sample: Sample) -> Path:
    put(path, sample)
    change(path, read_elf(path, sample.machine), interpreter=LOADER, runpath=LIBRARIES)
    return path


def loads(path: Path) -> list[Segment]:
    return [s for s in read_elf(path, 62).segments if s.kind == LOAD]


def test_the_needed_libraries_of_a_program_are_read(tmp_path: Path) -> None:
    elf = read_elf(put(tmp_path / "a", Sample(("liba.so.1", "libb.so.2"), runpath="/x:/y:")), 62)
    assert elf.needed == ("liba.so.1", "libb.so.2")
    assert elf.runpath == ("/x", "/y")
    assert elf.interpreter == "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    "sample",
    [
        Sample(),
        Sample(room=3),
        Sample(runpath="/usr/lib/old"),
        Sample(sections=False),
        Sample(needed=()),
        Sample(spare=(RELRO,)),
        Sample(machine=183),
    ],
    ids=str,
)
def test_a_changed_program_needs_libraries_of_the_store(tmp_path: Path, sample: Sample) -> None:
    elf = read_elf(changed(tmp_path / "a", sample), sample.machine)
    assert elf.interpreter == LOADER
    assert elf.runpath == LIBRARIES
    assert elf.needed == sample.needed


def test_nothing_that_was_there_moves(tmp_path: Path) -> None:
    sample = Sample()
    before = sample.content()
    after = changed(tmp_path / "a", sample).read_bytes()
    # The headers of segments and sections are rewritten in place; everything else is as it was.
    headers = 64 + 56 * 4
    sections = len(before) - 3 * 64
    assert after[:64] == before[:64]
    assert after[headers:sections] == before[headers:sections]


def test_the_new_segment_can_be_mapped(tmp_path: Path) -> None:
    *old, new = loads(changed(tmp_path / "a", Sample()))
    assert new.offset % new.align == new.address % new.align
    assert all(new.address >= segment.address + segment.memory for segment in old)
    assert new.offset + new.size == (tmp_path / "a").stat().st_size


def test_a_table_without_room_moves_into_a_segment_the_loader_may_write(tmp_path: Path) -> None:
    tight = loads(changed(tmp_path / "tight", Sample(room=0)))
    roomy = loads(changed(tmp_path / "roomy", Sample(room=1)))
    assert (tight[-1].flags, roomy[-1].flags) == (6, 4)


def test_sections_follow_what_moved(tmp_path: Path) -> None:
    elf = read_elf(changed(tmp_path / "a", Sample()), 62)
    by_kind = {section.kind: section for section in elf.sections}
    dynamic = next(s for s in elf.segments if s.kind == DYNAMIC)
    interpreter = next(s for s in elf.segments if s.kind == INTERPRETER)
    assert (by_kind[6].offset, by_kind[6].size) == (dynamic.offset, dynamic.size)
    assert (by_kind[1].offset, by_kind[1].size) == (interpreter.offset, interpreter.size)
    assert by_kind[3].address == dict(elf.dynamic)[5]


def test_the_least_missed_header_is_given_up(tmp_path: Path) -> None:
    elf = read_elf(changed(tmp_path / "a", Sample(spare=(RELRO, PROPERTY, NOTE))), 62)
    kinds = [segment.kind for segment in elf.segments]
    assert NOTE not in kinds
    assert {RELRO, PROPERTY} < set(kinds)


def test_a_file_without_a_header_to_spare_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a", Sample(spare=()))
    with pytest.raises(NoSpareHeader):
        change(path, read_elf(path, 62), interpreter=LOADER, runpath=())


def test_a_library_path_alone_leaves_the_interpreter(tmp_path: Path) -> None:
    path = put(tmp_path / "a", Sample(interpreter=None))
    change(path, read_elf(path, 62), interpreter=None, runpath=LIBRARIES)
    assert read_elf(path, 62).interpreter is None
    assert read_elf(path, 62).runpath == LIBRARIES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF\x01\x01" + b"\0" * 100,
        Sample(machine=183).content(),
        Sample().content()[:4] + b"\x02\x02" + Sample().content()[6:],
        Sample().content()[:200],
        # A core file, by its type.
        Sample().content()[:16] + struct.pack("<H", 4) + Sample().content()[18:],
    ],
    ids=["empty", "script", "32-bit", "another machine", "big-endian", "cut short", "core"],
)
def test_other_files_are_not_touched(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(NotElf):
        read_elf(tmp_path / "a", 62)

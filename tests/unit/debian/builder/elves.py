"""ELF files made by hand: small, but laid out as a linker lays them out."""

import struct
from dataclasses import dataclass

HEADERS = 64
PAGE = 0x1000
BASE = 0x400000
NOTE, PROPERTY, RELRO = 4, 0x6474E553, 0x6474E552


@dataclass(frozen=True, slots=True)
class Sample:
    """`spare` are the kinds of header that may be given up; `room` counts free dynamic entries."""

    needed: tuple[str, ...] = ("libc.so.6",)
    interpreter: str | None = "/lib64/ld-linux-x86-64.so.2"
    runpath: str | None = None
    machine: int = 62
    spare: tuple[int, ...] = (NOTE,)
    room: int = 0
    sections: bool = True

    def content(self) -> bytes:
        strings = bytearray(b"\0")

        def string(text: str) -> int:
            strings.extend(text.encode() + b"\0")
            return len(strings) - len(text) - 1

        entries = [(1, string(name)) for name in self.needed]
        if self.runpath:
            entries.append((15, string(self.runpath)))
        count = 2 + len(self.spare) + (self.interpreter is not None)
        interpreter = (self.interpreter or "").encode() + b"\0" if self.interpreter else b""
        interpreter_at = HEADERS + 56 * count
        strings_at = -(-(interpreter_at + len(interpreter)) // 8) * 8
        dynamic_at = -(-(strings_at + len(strings)) // 16) * 16
        entries += [(5, BASE + strings_at), (10, len(strings))]
        table = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (0, 0)])
        table += b"\0" * 16 * self.room
        end = dynamic_at + len(table)
        sections_at = -(-end // 8) * 8
        sections = b"".join(
            struct.pack("<IIQQQQIIQQ", 0, kind, 2, BASE + at, at, size, 0, 0, 1, 0)
            for kind, at, size in (
                (1, interpreter_at, len(interpreter)),
                (3, strings_at, len(strings)),
                (6, dynamic_at, len(table)),
            )
        )

        def segment(kind: int, at: int, size: int, align: int = 8) -> bytes:
            return struct.pack("<IIQQQQQQ", kind, 6, at, BASE + at, BASE + at, size, size, align)

        program = [segment(1, 0, end, PAGE), segment(2, dynamic_at, len(table))]
        if self.interpreter:
            program.insert(0, segment(3, interpreter_at, len(interpreter), 1))
        program += [segment(kind, HEADERS, 8) for kind in self.spare]
        header = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack(
            "<HHIQQQIHHHHHH", 3, self.machine, 1, BASE, HEADERS,
            sections_at if self.sections else 0, 0, 64, 56, count, 64, len(sections) // 64, 0,
        )  # fmt: skip
        body = bytearray(sections_at)
        body[: len(header)] = header
        body[HEADERS : HEADERS + 56 * count] = b"".join(program)
        body[interpreter_at : interpreter_at + len(interpreter)] = interpreter
        body[strings_at : strings_at + len(strings)] = strings
        body[dynamic_at : dynamic_at + len(table)] = table
        return bytes(body) + (sections if self.sections else b"")

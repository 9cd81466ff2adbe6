"""Nix archives (NAR), read from a stream in one pass.

The format has one encoding for each tree, and this parser accepts no other: names in the order of
their bytes, padding of zeros, nothing after the end.  Nix: doc/manual, "Nix Archive (NAR) Format".
"""

from typing import Protocol

from app.builder.nix.store import ReadBuffers, UnreadablePath, Visitor, check_depth, check_names
from app.system import threads
from app.system.blocking import blocking

_BUFFER = 1 << 18
_WORD = 8
LONGEST_NAME = 255
LONGEST_TARGET = 4095


def encode(*strings: bytes) -> bytes:
    """Return the strings as an archive has them.

    Each is its length in eight bytes, little endian, then its bytes, then zeros up to a multiple
    of eight.
    """
    return b"".join(
        len(string).to_bytes(_WORD, "little") + string + bytes(-len(string) % _WORD)
        for string in strings
    )


_BEGIN = encode(b"nix-archive-1", b"(", b"type")
_REGULAR = encode(b"regular")
_EXECUTABLE = encode(b"executable", b"")
_CONTENTS = encode(b"contents")
_SYMLINK = encode(b"symlink", b"target")
_DIRECTORY = encode(b"directory")
_ENTRY = encode(b"entry", b"(", b"name")
_NODE = encode(b"node", b"(", b"type")
_END = encode(b")")


class InvalidArchive(UnreadablePath):
    """The bytes are not those of one archive."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid archive: {reason}")


class Source(Protocol):
    """Binary files and pipes are sources."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read at least one byte, and return how many; 0 or None at the end."""


@blocking
def visit_archive(source: Source, name: bytes, visitor: Visitor, *, limit: int) -> None:
    """Call the visitor for each entry of the archive, whose root is called ``name``.

    Raises InvalidArchive, also for more than ``limit`` bytes; UnsupportedTree; OSError; Stopped.
    """
    _Archive(_Stream(source, limit), visitor).visit(name)


class _Archive:
    def __init__(self, stream: "_Stream", visitor: Visitor) -> None:
        self._stream = stream
        self._visitor = visitor
        # For each open directory its last name, which the next one has to exceed, and the count.
        self._last: list[bytes] = []
        self._counts: list[int] = []

    def visit(self, name: bytes) -> None:
        self._stream.require(_BEGIN)
        next_name: bytes | None = name
        while next_name is not None:
            is_directory = self._node(next_name)
            if self._last and not is_directory:
                self._stream.require(_END)
            next_name = self._next_name()
        self._stream.require_end()

    def _node(self, name: bytes) -> bool:
        """Visit the next node.  Return whether it is a directory, whose entries then follow."""
        stream = self._stream
        if stream.accept(_REGULAR):
            self._file(name)
        elif stream.accept(_SYMLINK):
            target = stream.string(LONGEST_TARGET)
            if not target or b"\0" in target:
                raise InvalidArchive("the target of a symlink")
            stream.require(_END)
            self._visitor.symlink(name, target)
        elif stream.accept(_DIRECTORY):
            check_depth(len(self._last))
            self._visitor.enter(name)
            threads.check()
            self._last.append(b"")
            self._counts.append(0)
            return True
        else:
            raise InvalidArchive("a node of an unknown type")
        return False

    def _file(self, name: bytes) -> None:
        is_executable = self._stream.accept(_EXECUTABLE)
        self._stream.require(_CONTENTS)
        size = self._stream.number()
        if size > self._stream.most_left:
            raise InvalidArchive("a file of more bytes than announced")
        file = _File(self._stream, size, executable=is_executable)
        self._visitor.file(name, file)
        file.end()
        self._stream.require(_END)

    def _next_name(self) -> bytes | None:
        """Return the name of the next entry, closing directories; None after the last."""
        stream = self._stream
        while self._last:
            if stream.accept(_ENTRY):
                name = stream.string(LONGEST_NAME)
                if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
                    raise InvalidArchive(f"the name {name!r}")
                if name <= self._last[-1]:
                    raise InvalidArchive(f"the name {name!r} out of order")
                self._last[-1] = name
                self._counts[-1] += 1
                check_names(self._counts[-1])
                stream.require(_NODE)
                return name
            stream.require(_END)
            self._last.pop()
            self._counts.pop()
            self._visitor.leave()
            if self._last:
                stream.require(_END)
        return None


class _File:
    def __init__(self, stream: "_Stream", size: int, *, executable: bool) -> None:
        self._stream = stream
        self._size = size
        self._left = size
        self._executable = executable

    def open(self) -> tuple[int, bool]:
        return self._size, self._executable

    def readv(self, buffers: ReadBuffers) -> int:
        before = self._left
        for buffer in buffers:
            part = memoryview(buffer)[: self._left]
            self._stream.read_into(part)
            self._left -= len(part)
        return before - self._left

    def end(self) -> None:
        """Skip what the visitor has not read, and the padding."""
        self._stream.skip(self._left)
        self._stream.padding(self._size)


class _Stream:
    """A source of at most ``limit`` bytes, with a buffer for looking ahead."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0

    @property
    def most_left(self) -> int:
        """The number of bytes that may follow."""
        return self._limit + self._end - self._start

    def accept(self, expected: bytes) -> bool:
        """Consume the bytes if they are next."""
        if not self._has(len(expected)) or not self._buffer.startswith(expected, self._start):
            return False
        self._start += len(expected)
        return True

    def require(self, expected: bytes) -> None:
        if not self.accept(expected):
            raise InvalidArchive("it ends early" if not self._has(len(expected)) else "a token")

    def require_end(self) -> None:
        if self._has(1):
            raise InvalidArchive("bytes after the end")

    def number(self) -> int:
        return int.from_bytes(self._take(_WORD), "little")

    def string(self, longest: int) -> bytes:
        size = self.number()
        if size > longest:
            raise InvalidArchive(f"a string of more than {longest:,} bytes")
        string = self._take(size)
        self.padding(size)
        return string

    def padding(self, size: int) -> None:
        if any(self._take(-size % _WORD)):
            raise InvalidArchive("padding that is not zero")

    def read_into(self, target: memoryview) -> None:
        """Fill the target: first from the look ahead, then without copying."""
        ahead = min(len(target), self._end - self._start)
        target[:ahead] = self._view[self._start : self._start + ahead]
        self._start += ahead
        while ahead < len(target):
            ahead += self._read(target[ahead:])

    def skip(self, size: int) -> None:
        while size:
            if self._start == self._end:
                self._start, self._end = 0, self._read(self._view)
            step = min(size, self._end - self._start)
            self._start += step
            size -= step

    def _take(self, size: int) -> bytes:
        if not self._has(size):
            raise InvalidArchive("it ends early")
        taken = bytes(self._view[self._start : self._start + size])
        self._start += size
        return taken

    def _has(self, size: int) -> bool:
        """Return whether this many bytes are in the look ahead, or can be read into it."""
        while self._end - self._start < size:
            if self._start:
                rest = self._buffer[self._start : self._end]
                self._buffer[: len(rest)] = rest
                self._start, self._end = 0, len(rest)
            count = self._source_read(self._view[self._end :])
            if not count:
                return False
            self._end += count
        return True

    def _read(self, target: memoryview) -> int:
        count = self._source_read(target)
        if not count:
            raise InvalidArchive("it ends early")
        return count

    def _source_read(self, target: memoryview) -> int:
        threads.check()
        count = self._source.readinto(target) or 0
        self._limit -= count
        if self._limit < 0:
            raise InvalidArchive("more bytes than announced")
        return count

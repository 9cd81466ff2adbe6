"""Tar headers: ustar (POSIX.1-1988) where it fits, PAX records (POSIX.1-2001) elsewhere.

Every header has modification time 1, as files in a Nix store do, and no owner names, which
clients ignore (image-spec, layer.md) and which differ between machines.
"""

from functools import lru_cache
from zlib import adler32

RECORD = 512
END_OF_ARCHIVE = bytes(2 * RECORD)

_NAME, _PREFIX, _LINK = 100, 155, 100
_LARGEST = 8**11 - 1
_PADDINGS = tuple(bytes(size) for size in range(RECORD))
# typeflag, then after the link's name: magic, version, two empty names, device numbers.
_FILE, _SYMLINK, _DIRECTORY, _EXTENDED = b"0", b"2", b"5", b"x"
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\x00" * 2
_CONSTANT_SUM = sum(_TAIL) + 8 * ord(" ")
_NO_PREFIX = bytes(RECORD - 345)
# For FileHeaders: the part from the type on; mode and owners, with the sum of all constant bytes.
_PLAIN_END = _FILE + bytes(_LINK) + _TAIL + _NO_PREFIX
_FILE_SUM = _CONSTANT_SUM + sum(_FILE) + sum(b"00000000001")
_DATA, _PROGRAM = (
    (mode, _FILE_SUM + sum(mode))
    for mode in (b"%07o\0%07o\0%07o\0" % (bits, 0, 0) for bits in (0o444, 0o555))
)
# For links: mode, owners, size and time; then what follows the target.
_LINK_NUMBERS = b"%07o\0%07o\0%07o\0%011o\x0000000000001\0" % (0o777, 0, 0, 0)
_LINK_SUM = _CONSTANT_SUM + sum(_LINK_NUMBERS) + sum(_SYMLINK)
_LINK_END = _TAIL + _NO_PREFIX


def padding(size: int) -> bytes:
    """Return the zeros that extend ``size`` bytes to whole records."""
    return _PADDINGS[-size % RECORD]


def directory(name: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> bytes:
    """Return the header of a directory; ``name`` ends in a slash."""
    return _header(name, mode, uid, gid, 0, _DIRECTORY, b"")


def file(name: bytes, size: int, *, mode: int, uid: int = 0, gid: int = 0) -> bytes:
    return _header(name, mode, uid, gid, size, _FILE, b"")


class FileHeaders:
    """Headers of the files in one directory, equal to ``file``'s; their common parts are made once.

    A header made from scratch would take a third of the time for a small file.
    """

    def __init__(self, directory: bytes) -> None:
        """Prepare the headers of the files in one directory; ``directory`` ends in a slash."""
        self._directory = directory
        self._is_plain = directory.isascii()
        self._room = _NAME - len(directory)
        self._sum = sum(directory)
        # The slash between prefix and name is not stored, and not in the sum.
        self._can_split = 1 < len(directory) <= _PREFIX + 1
        self._prefix_sum = self._sum - ord("/")
        self._prefix_end = _PLAIN_END[: -len(_NO_PREFIX)] + directory[:-1].ljust(
            len(_NO_PREFIX), b"\0"
        )

    def make(self, base: bytes, size: int, *, executable: bool) -> bytes:
        if not (self._is_plain and base.isascii() and size <= _LARGEST):
            return self._any(base, size, executable=executable)
        if len(base) <= self._room:
            name, end, checksum = self._directory + base, _PLAIN_END, self._sum
        elif self._can_split and len(base) <= _NAME:
            name, end, checksum = base, self._prefix_end, self._prefix_sum
        else:
            return self._any(base, size, executable=executable)
        digits = b"%011o" % size
        mode, constant = _PROGRAM if executable else _DATA
        return b"%b%b%b\x0000000000001\0%06o\0 %b" % (
            name.ljust(_NAME, b"\0"),
            mode,
            digits,
            constant + checksum + _sum(base + digits),
            end,
        )

    def _any(self, base: bytes, size: int, *, executable: bool) -> bytes:
        return file(self._directory + base, size, mode=0o555 if executable else 0o444)


def symlink(name: bytes, target: bytes) -> bytes:
    if len(name) > _NAME or not (name.isascii() and target.isascii()):
        return _header(name, 0o777, 0, 0, 0, _SYMLINK, target)
    # The layer of links has thousands of these, and is made while a client waits.
    before = whole = after = b""
    if len(target) > _LINK:
        before, after = _around_link(len(target))
        whole, target = target, target[:_LINK]
    return b"%b%b%b%b%b%06o\0 2%b%b" % (
        before,
        whole,
        after,
        name.ljust(_NAME, b"\0"),
        _LINK_NUMBERS,
        _LINK_SUM + _sum(name + target),
        target.ljust(_LINK, b"\0"),
        _LINK_END,
    )


@lru_cache(4096)
def _around_link(size: int) -> tuple[bytes, bytes]:
    """Return the bytes that ``_extended`` has before and after a link's target of this size."""
    extended = _extended(_record(b"linkpath", b"x" * size))
    begin = extended.index(b"x" * size)
    return extended[:begin], extended[begin + size :]


def _header(  # noqa: PLR0917  # the fields of the format
    name: bytes, mode: int, uid: int, gid: int, size: int, kind: bytes, link: bytes
) -> bytes:
    split = _split(name)
    if split is not None and len(link) <= _LINK and link.isascii() and size <= _LARGEST:
        return _ustar(*split, mode, uid, gid, size, kind, link)
    records = b""
    if split is None:
        records += _record(b"path", name)
        split = (b"", _plain(name, _NAME))
    if len(link) > _LINK or not link.isascii():
        records += _record(b"linkpath", link)
        link = _plain(link, _LINK)
    if size > _LARGEST:
        records += _record(b"size", b"%d" % size)
        size = 0
    return _extended(records) + _ustar(*split, mode, uid, gid, size, kind, link)


def _extended(records: bytes) -> bytes:
    return _extended_header(len(records)) + records + padding(len(records))


@lru_cache(512)
def _extended_header(size: int) -> bytes:
    return _ustar(b"", b"././@PaxHeader", 0o644, 0, 0, size, _EXTENDED, b"")


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return ustar's (prefix, name); None if the name does not fit.

    The character set of ustar names is not specified, and that of PAX is UTF-8.  Names beyond ASCII
    use PAX.
    """
    if not name.isascii():
        return None
    if len(name) <= _NAME:
        return b"", name
    # The slash between them is omitted.  A directory's last slash cannot be that one.
    slash = name.rfind(b"/", 0, min(_PREFIX + 1, len(name) - 1))
    if slash <= 0 or len(name) - slash - 1 > _NAME:
        return None
    return name[:slash], name[slash + 1 :]


def _ustar(  # noqa: PLR0917  # the fields of the format
    prefix: bytes, name: bytes, mode: int, uid: int, gid: int, size: int, kind: bytes, link: bytes
) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\x0000000000001\0" % (mode, uid, gid, size)
    checksum = _CONSTANT_SUM + _sum(numbers + name + prefix + link) + kind[0]
    return b"".join(
        (
            name.ljust(_NAME, b"\0"),
            numbers,
            b"%06o\0 " % checksum,
            kind,
            link.ljust(_LINK, b"\0"),
            _TAIL,
            prefix.ljust(len(_NO_PREFIX), b"\0"),
        )
    )


def _sum(text: bytes) -> int:
    """Return the sum of the bytes; ``text`` is ASCII and shorter than a header.

    The low half of Adler-32 (RFC 1950, section 8.2) is this sum plus one, modulo a number that
    such texts cannot reach, and is computed ten times as fast.
    """
    return (adler32(text) & 0xFFFF) - 1


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``length key=value\\n``; the length includes its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _plain(text: bytes, size: int) -> bytes:
    """Return the text for readers without PAX: ASCII, truncated."""
    return text.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "_").encode()[:size]

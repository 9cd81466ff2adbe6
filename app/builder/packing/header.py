"""Tar headers: ustar (POSIX.1-1988) where it fits, PAX records (POSIX.1-2001) where not.

Every header carries modification time 1, as everything in a Nix store does, and no owner
names, which clients ignore (image-spec, layer.md) and which differ between machines.
"""

RECORD = 512
END_OF_ARCHIVE = bytes(2 * RECORD)

_NAME, _PREFIX, _LINK = 100, 155, 100
_LARGEST = 8**11 - 1
_ZEROS = bytes(RECORD)
# typeflag, then after the link's name: magic, version, two empty names, device numbers.
_FILE, _SYMLINK, _DIRECTORY, _EXTENDED = b"0", b"2", b"5", b"x"
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\x00" * 2
_CONSTANT_SUM = sum(_TAIL) + 8 * ord(" ")


def padding(size: int) -> bytes:
    """What fills a content of ``size`` bytes up to whole records."""
    return _ZEROS[: -size % RECORD]


def directory(name: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> bytes:
    """``name`` ends with a slash."""
    return _header(name, mode, uid, gid, 0, _DIRECTORY, b"")


def file(name: bytes, size: int, *, mode: int, uid: int = 0, gid: int = 0) -> bytes:
    return _header(name, mode, uid, gid, size, _FILE, b"")


def symlink(name: bytes, target: bytes) -> bytes:
    return _header(name, 0o777, 0, 0, 0, _SYMLINK, target)


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
    return b"".join(
        (
            _ustar(b"", b"././@PaxHeader", 0o644, 0, 0, len(records), _EXTENDED, b""),
            records,
            padding(len(records)),
            _ustar(*split, mode, uid, gid, size, kind, link),
        )
    )


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """ustar's (prefix, name); None if it does not fit.

    The character set of a ustar name is not specified, PAX says UTF-8: beyond ASCII it is PAX.
    """
    if not name.isascii():
        return None
    if len(name) <= _NAME:
        return b"", name
    # The slash between the two is not stored; the last character of a directory's is no split.
    slash = name.rfind(b"/", 0, min(_PREFIX + 1, len(name) - 1))
    if slash <= 0 or len(name) - slash - 1 > _NAME:
        return None
    return name[:slash], name[slash + 1 :]


def _ustar(  # noqa: PLR0917  # the fields of the format
    prefix: bytes, name: bytes, mode: int, uid: int, gid: int, size: int, kind: bytes, link: bytes
) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\x0000000000001\0" % (mode, uid, gid, size)
    checksum = _CONSTANT_SUM + sum(numbers) + sum(name) + sum(prefix) + sum(link) + kind[0]
    return b"".join(
        (
            name.ljust(_NAME, b"\0"),
            numbers,
            b"%06o\0 " % checksum,
            kind,
            link.ljust(_LINK, b"\0"),
            _TAIL,
            prefix.ljust(RECORD - 345, b"\0"),
        )
    )


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value\\n``, the length counting itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _plain(text: bytes, size: int) -> bytes:
    """What readers without PAX see: ASCII, cut off."""
    return text.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "_").encode()[:size]

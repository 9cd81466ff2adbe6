"""The file in which ``ldconfig`` lists libraries, and loaders look first."""

import struct
from collections.abc import Sequence

CACHE = b"etc/ld.so.cache"
# glibc: sysdeps/generic/dl-cache.h, struct cache_file_new and struct file_entry_new.
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2


def library_cache(libraries: Sequence[bytes], flags: int) -> bytes:
    """Return a cache of the libraries, which are in /lib and differ before any digit.

    ``flags`` are those of their architecture.
    """
    at = _HEADER.size + _ENTRY.size * len(libraries)
    entries: list[bytes] = []
    texts = b""
    # The loader searches the file by halves, from the greatest name to the smallest.
    for name in sorted(libraries, reverse=True):
        place = at + len(texts)
        entries.append(_ENTRY.pack(flags, place + len(b"/lib/"), place, 0, 0))
        texts += b"/lib/" + name + b"\0"
    header = _HEADER.pack(_MAGIC, len(libraries), len(texts), _LITTLE_ENDIAN, 0)
    return header + b"".join(entries) + texts

"""Lists of store paths: a channel's ``store-paths.xz``, or lines of text."""

import io
import lzma
from collections.abc import Iterator

from app.builder.nix.closure import StorePath
from app.system.xz import XzReader

_XZ = b"\xfd7zXZ\x00"
# A channel has some 200,000 paths of 80 bytes.
SIZE_LIMIT = 100_000_000
_LINES = 5_000_000
_LONGEST = 300
_PIECE = 128 << 10


class StorePathsInvalid(ValueError):
    """The message is one line with the invalid line of the list and the reason."""


def read_store_paths(document: bytes) -> tuple[StorePath, ...]:
    """Return the paths in the order of the list, with repetitions.  Raises StorePathsInvalid."""
    try:
        return tuple(_parse(document))
    except (lzma.LZMAError, EOFError) as error:
        raise StorePathsInvalid(f"the list of store paths is damaged: {error}") from None


def _parse(document: bytes) -> Iterator[StorePath]:
    for number, line in enumerate(_lines(document), 1):
        if number >= _LINES:
            raise StorePathsInvalid(f"more than {_LINES} store paths")
        if not line.strip():
            continue
        try:
            yield StorePath.parse(line.decode().strip())
        except ValueError as error:
            raise StorePathsInvalid(f"line {number} is {error}") from None


def _lines(document: bytes) -> Iterator[bytes]:
    """Yield the lines, and the beginning of one that is too long."""
    plain = io.BytesIO(document)
    stream = XzReader(plain) if document.startswith(_XZ) else plain
    rest = b""
    while piece := stream.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > _LONGEST:
            break
    yield rest

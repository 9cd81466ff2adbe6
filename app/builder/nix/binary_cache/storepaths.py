"""Lists of store paths: a channel's ``store-paths.xz``, or lines of text."""

import io
import lzma
from collections.abc import Iterator

from app.builder.nix.closure import StorePath

_XZ = b"\xfd7zXZ\x00"
# A channel has some 200,000 paths of 80 bytes.
SIZE_LIMIT = 100_000_000
_LINES = 5_000_000
_LONGEST = 300


class StorePathsInvalid(ValueError):
    """The message is one line with the invalid line of the list and the reason."""


def read_store_paths(document: bytes) -> tuple[StorePath, ...]:
    """Return the paths in the order of the list, with repetitions.  Raises StorePathsInvalid."""
    try:
        return tuple(_parse(document))
    except (lzma.LZMAError, EOFError) as error:
        raise StorePathsInvalid(f"the list of store paths is damaged: {error}") from None


def _parse(document: bytes) -> Iterator[StorePath]:
    plain = io.BytesIO(document)
    stream = lzma.LZMAFile(plain) if document.startswith(_XZ) else plain  # noqa: SIM115  in memory
    for number in range(1, _LINES):
        line = stream.readline(_LONGEST)
        if not line:
            return
        if line.isspace():
            continue
        try:
            yield StorePath.parse(line.decode().strip())
        except ValueError as error:
            raise StorePathsInvalid(f"line {number} is {error}") from None
    raise StorePathsInvalid(f"more than {_LINES} store paths")

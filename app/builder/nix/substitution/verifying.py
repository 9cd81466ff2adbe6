"""An archive whose size and hash are compared with those of its narinfo while it is read."""

import hashlib

from app.builder.nix.nar import Source
from app.builder.nix.store import UnreadablePath
from app.system.blocking import blocking

_SKIPPED = 1 << 16


class WrongContent(UnreadablePath):
    """The bytes are not those that the narinfo describes."""


class VerifiedArchive:
    """A source that raises WrongContent at its end, or as soon as it exceeds ``size`` bytes."""

    def __init__(self, source: Source, *, size: int, digest: bytes) -> None:
        self._source = source
        self._left = size
        self._digest = digest
        self._hash = hashlib.sha256()
        self._is_complete = False

    @blocking
    def readinto(self, buffer: memoryview, /) -> int:
        count = self._source.readinto(buffer) or 0
        self._left -= count
        if self._left < 0:
            raise WrongContent("the archive is larger than its NarSize")
        self._hash.update(buffer[:count])
        if not count:
            self._check()
        return count

    @blocking
    def finish(self) -> None:
        """Read the rest.  Raises WrongContent."""
        rest = memoryview(bytearray(_SKIPPED))
        while not self._is_complete:
            self.readinto(rest)

    def _check(self) -> None:
        if self._left:
            raise WrongContent("the archive is smaller than its NarSize")
        if self._hash.digest() != self._digest:
            raise WrongContent("the archive does not have its NarHash")
        self._is_complete = True

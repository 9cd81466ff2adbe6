"""What a storage backend promises; tests/contract/test_storage.py holds every backend to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from app.system.blocking import blocking

# Bytes that ``read`` returns of a file at most: records and manifests have less, more would fill the memory.
READ_LIMIT = 256 << 20


class ObjectNotFound(Exception):
    """Nothing is stored under the key."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A finished file on this machine, at least until it is opened."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A pre-signed address for GET; never to be handed to a HEAD."""

    url: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


Location = LocalFile | RemoteUrl | Content


class Storage(Protocol):
    """Objects under keys such as ``blobs/sha256/<hex>`` (see app.storage.keys).

    An object is visible whole or not at all, to every process, also after a power cut.
    Two writers of one key never mix: one of the two wins.  Every method may raise
    StorageUnavailable; those that look for an object raise ObjectNotFound.  A key that
    app.storage.keys would not make is a ValueError: no key is ever taken from the network.
    """

    async def start(self) -> None:
        """Called once, before all else: check what can be stored, sweep what crashes left.

        Raises StorageUnavailable with a message that tells the operator what to do.
        """

    async def check(self) -> None:
        """Try whether objects can be stored now; raises StorageUnavailable, in words for users."""

    async def size(self, key: str) -> int:
        """Size in bytes; raises ObjectNotFound."""

    async def read(self, key: str) -> bytes:
        """A small object, whole; raises ObjectNotFound, for files also beyond READ_LIMIT."""

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        """As many ``size``; None for what is not there."""

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        """As many ``read``; None for what is not there."""

    async def locate(self, key: str) -> Location:
        """Where the bytes are, for a response; raises ObjectNotFound."""

    async def write(self, key: str, body: bytes) -> None:
        """Replace the object."""

    async def create(self, key: str, body: bytes) -> bytes:
        """Write unless something is there; returns what is stored now (the winner's bytes)."""

    async def adopt(self, key: str, file: BinaryIO) -> None:
        """Store a spool file (from ``spool``), whole, under a content-addressed key.

        An existing object of that key and size is left as it is.  The file stays the caller's
        to close, and must not be written to any more.
        """

    async def delete(self, key: str) -> None:
        """Remove the object; an absent one is no error."""

    async def keys(self, prefix: str) -> list[str]:
        """The keys that begin with the prefix, sorted."""

    @blocking
    def spool(self) -> BinaryIO:
        """An empty file near the store that vanishes when closed, unless adopted.

        Its ``write`` raises StorageUnavailable when there is no room.
        """

    @blocking
    def open(self, key: str) -> BinaryIO:
        """The object as a seekable stream, for workers; raises ObjectNotFound."""

    @blocking
    def open_raw(self, key: str) -> BinaryIO:
        """As ``open``, also for a blob that has other bytes than its digest says."""

    async def close(self) -> None:
        """Release connections; the storage is not used afterwards."""

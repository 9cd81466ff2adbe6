"""The promises of a storage backend; tests/contract/storage_contract.py tests every backend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from app.system.blocking import blocking

# The most bytes that ``read`` returns: records and manifests have fewer, more could fill the memory.
READ_LIMIT = 256 << 20


class ObjectNotFound(Exception):
    """Nothing is stored under the key."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A finished file on this machine, at least until it is opened.

    ``file`` is that file, open: opening it later, in a thread, would take as long as sending it.
    The caller of ``locate`` closes it.
    """

    path: Path
    size: int
    file: BinaryIO | None = field(default=None, compare=False)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A pre-signed address for GET; do not redirect HEAD to it."""

    url: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a small object, which need not be opened."""

    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


Location = LocalFile | RemoteUrl | Content


class Storage(Protocol):
    """Objects under keys such as ``blobs/sha256/<hex>`` (see app.storage.keys).

    An object is visible whole or not at all, to every process, also after a power cut.
    Of two writers of one key one wins; their bytes never mix.  Every method may raise
    StorageUnavailable; those that look for an object raise ObjectNotFound.  A key that
    app.storage.keys would not make raises ValueError: keys do not come from the network.
    """

    async def start(self) -> None:
        """Check that objects can be stored, and remove what crashes left; called before all else.

        Raise StorageUnavailable with advice for the operator.
        """

    async def check(self) -> None:
        """Raise StorageUnavailable, with a message for users, if objects cannot be stored now."""

    async def size(self, key: str) -> int:
        """Return the size in bytes.  Raise ObjectNotFound."""

    async def read(self, key: str) -> bytes:
        """Return a small object.  Raise ObjectNotFound, also for an object beyond READ_LIMIT."""

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        """Return the size of each object; None for an absent one."""

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of each object; None for an absent one."""

    async def locate(self, key: str) -> Location:
        """Return where the bytes are, for a response.  Raise ObjectNotFound."""

    async def write(self, key: str, body: bytes) -> None:
        """Store an object, or replace it."""

    async def create(self, key: str, body: bytes) -> bytes:
        """Store an object unless there is one; return the bytes that are stored now."""

    async def adopt(self, key: str, file: BinaryIO) -> None:
        """Store a spool file (from ``spool``), whole, under a content-addressed key.

        An existing object of that key and size is left as it is.  The file is then closed; after an
        error the caller closes it, and must not write to it any more.
        """

    async def delete(self, key: str) -> None:
        """Remove the object if it is there."""

    async def delete_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        """Remove the object if the function, in a thread, returns True for its file.

        It gets None for an object that is not a readable file.  Return whether the object was
        removed: not if there is none, or if another one was stored while the function read it.
        """

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix, sorted."""

    @blocking
    def spool(self) -> BinaryIO:
        """Return an empty file on the storage's disk, deleted when it is closed unless adopted.

        Its ``write`` raises StorageUnavailable when the disk is full.
        """

    @blocking
    def open(self, key: str) -> BinaryIO:
        """Return the object as a seekable stream, for workers.  Raise ObjectNotFound."""

    @blocking
    def open_raw(self, key: str) -> BinaryIO:
        """Do the same as ``open``, also for a blob whose bytes do not match its digest."""

    async def close(self) -> None:
        """Release connections; the storage is not used afterwards."""

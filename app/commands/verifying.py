"""Compare every object of a storage with its key."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from app.commands.record_kinds import FORMER_KINDS, RECORD_KINDS
from app.errors import DigestInvalid, StorageUnavailable
from app.oci import Digest
from app.storage.base import READ_LIMIT, ObjectNotFound, Storage
from app.storage.records.envelope import Damaged
from app.storage.records.kind import Kind
from app.storage.records.version import RecordVersion, record_version
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.workers import Workers

_CHUNK = 1 << 20
_CONTENT = ("blobs/sha256", "manifests/sha256")
_PREFIXES = (*_CONTENT, *RECORD_KINDS, *FORMER_KINDS)


@dataclass(slots=True)
class Reading:
    """Counts of objects.  ``unread`` ones could not be opened, and are not deleted.

    ``earlier`` counts records of earlier versions, which this version does not use.  ``size`` is
    in bytes.
    """

    wanted: int = 0
    objects: int = 0
    size: int = 0
    damaged: int = 0
    unread: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class _ObjectState:
    """The result of reading one object; ``problem`` is None if it is not damaged."""

    size: int
    problem: str | None
    opened: bool = True
    is_earlier: bool = False
    deleted: bool = False

    @property
    def is_useless(self) -> bool:
        """Whether the object may be deleted."""
        return self.opened and (self.problem is not None or self.is_earlier)


_NOT_READABLE = _ObjectState(0, "damaged, not a readable file")


class Verifier:
    """Reads all objects of a storage, while servers may use it.

    Objects that a server adds are not read.  A removed object is not an error, and an object that
    was created again is not deleted.  ``name`` gets a line for each damaged object, ``report`` the
    counts after each object.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        workers: Workers,
        delete: bool,
        name: Callable[[str], None],
        report: Callable[[Reading], None],
    ) -> None:
        self._storage = storage
        self._workers = workers
        self._delete = delete
        self._name = name
        self._report = report
        self._reading = Reading()

    async def verify(self) -> Reading:
        """Raise StorageUnavailable if objects cannot be listed, or a damaged one not deleted."""
        keys = [key for prefix in _PREFIXES for key in await self._storage.keys(f"{prefix}/")]
        objects = [(key, digest) for key in keys if (digest := _digest(key)) is not None]
        self._reading.wanted = len(objects)
        left = iter(objects)

        async def work() -> None:
            for key, digest in left:
                await self._verify(key, digest)

        await gather(work() for _ in range(self._workers.count))
        return self._reading

    async def _verify(self, key: str, digest: Digest) -> None:
        state = await self._read(key, digest)
        if state is not None and state.is_useless and self._delete:
            state = await self._remove(key, digest)
        if state is not None:
            self._count(key, state)
        self._report(self._reading)

    async def _remove(self, key: str, digest: Digest) -> _ObjectState | None:
        """Read the object again and remove it, unless a server has created it again."""
        states: list[_ObjectState] = []

        def is_useless(file: BinaryIO | None) -> bool:
            states.append(_NOT_READABLE if file is None else _read_file(file, key, digest))
            return states[-1].is_useless

        if await self._storage.delete_if(key, is_useless):
            return replace(states[-1], deleted=True)
        return await self._read(key, digest)

    async def _read(self, key: str, digest: Digest) -> _ObjectState | None:
        """Return None if the object was removed."""
        state = await self._workers.run(_read_object, self._storage, key, digest)
        if state is None and key in await self._storage.keys(key):
            return _NOT_READABLE
        return state

    def _count(self, key: str, state: _ObjectState) -> None:
        self._reading.objects += state.opened
        self._reading.size += state.size
        self._reading.earlier += state.is_earlier
        if state.problem:
            self._reading.damaged += state.opened
            self._reading.unread += not state.opened
            deleted = ", deleted" if state.deleted else ""
            self._name(f"{key}: {state.problem}{deleted}")


def _digest(key: str) -> Digest | None:
    """Return the digest at the end of a key; None for a file that is not an object."""
    try:
        digest = Digest.parse(f"sha256:{key.rpartition('/')[2]}")
    except DigestInvalid:
        return None
    return digest if key.rpartition("/")[0] in _PREFIXES else None


@blocking
def _read_object(storage: Storage, key: str, digest: Digest) -> _ObjectState | None:
    """Return None if the object does not exist."""
    try:
        file = storage.open_raw(key)
    except ObjectNotFound:
        return None
    except StorageUnavailable as error:
        return _ObjectState(0, f"could not be opened: {error.__cause__ or error}", opened=False)
    with file:
        return _read_file(file, key, digest)


@blocking
def _read_file(file: BinaryIO, key: str, digest: Digest) -> _ObjectState:
    name = key.partition("/")[0]
    try:
        if name in FORMER_KINDS:
            return _ObjectState(0, None, is_earlier=True)
        kind = RECORD_KINDS.get(name)
        return _content(file, digest) if kind is None else _record(file, kind, digest)
    except OSError as error:
        return _ObjectState(0, f"damaged, cannot be read: {error.strerror}")


@blocking
def _content(file: BinaryIO, digest: Digest) -> _ObjectState:
    """Compare the bytes of a file with a digest.  Raises OSError."""
    read, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        read.update(chunk)
        size += len(chunk)
    found = read.hexdigest()
    if found == digest.hex:
        return _ObjectState(size, None)
    return _ObjectState(size, f"damaged, its {size:,} bytes have the digest sha256:{found}")


@blocking
def _record(file: BinaryIO, kind: Kind[Any], key: Digest) -> _ObjectState:
    """Compare a record with its key and its checksum.  Raises OSError."""
    body = file.read(READ_LIMIT + 1)
    if len(body) > READ_LIMIT:
        return _ObjectState(len(body), "damaged, too large")
    try:
        version = record_version(kind, key, body)
    except Damaged as error:
        return _ObjectState(len(body), f"damaged, {error}")
    return _ObjectState(len(body), None, is_earlier=version is RecordVersion.EARLIER)

"""``nixery verify``: check every stored blob, manifest and record against its key."""

import asyncio
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

import typer

from app.commands.exit_status import ERROR
from app.commands.failures import exit_on_errors
from app.commands.record_kinds import FORMER_KINDS, RECORD_KINDS
from app.commands.terminal import ProgressLine
from app.errors import DigestInvalid, OperatorError, StorageUnavailable
from app.oci import Digest
from app.settings.loading import load_settings
from app.settings.sections.storage import FilesystemBackend, MemoryBackend
from app.settings.settings import Settings
from app.storage.base import READ_LIMIT, ObjectNotFound, Storage
from app.storage.records.envelope import Damaged
from app.storage.records.kind import Kind
from app.storage.records.version import RecordVersion, record_version
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.workers import Workers
from app.text.sanitize import printable
from app.wiring.storage import storage_of

_CHUNK = 1 << 20
_CONTENT = ("blobs/sha256", "manifests/sha256")
_PREFIXES = (*_CONTENT, *RECORD_KINDS, *FORMER_KINDS)


def command(
    *,
    delete: Annotated[
        bool,
        typer.Option(
            "--delete",
            help="Remove damaged objects, and records of earlier versions. The next pull by tag"
            " creates them again, with the same digest.",
        ),
    ] = False,
) -> None:
    """Read every stored object, and print the damaged ones.

    The storage is that of the server's settings, from the same environment variables or file.

    Servers may run at the same time. The exit status is 1 if any object is damaged.
    """
    line = ProgressLine(sys.stderr)

    def name(finding: str) -> None:
        line.clear()
        sys.stdout.write(f"{printable(finding)}\n")
        sys.stdout.flush()

    def report(reading: Reading) -> None:
        if line.is_due():
            rate = reading.size / line.elapsed / 1e6
            line.show(f"{reading.objects:,} of {reading.wanted:,} objects, {rate:,.0f} MB/s")

    with exit_on_errors("verify", interrupted="the objects printed so far are damaged"):
        reading = verify(load_settings(), delete=delete, name=name, report=report)
        name(
            f"{reading.objects:,} objects with {reading.size:,} bytes read in {line.elapsed:.1f} s:"
            f" {reading.damaged:,} damaged"
            + (f", {reading.unread:,} could not be opened" if reading.unread else "")
            + (_earlier(reading.earlier, delete=delete) if reading.earlier else "")
        )
    if reading.damaged or reading.unread:
        raise typer.Exit(ERROR)


def _earlier(count: int, *, delete: bool) -> str:
    noun = "record" if count == 1 else "records"
    return f", {count:,} {noun} of an earlier version, {'deleted' if delete else 'unused'}"


class NothingToVerify(OperatorError):
    """The settings name no storage that can be read; the message is one line."""


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
class _Finding:
    """The result of reading one object; ``problem`` is None if it is not damaged."""

    size: int
    problem: str | None
    opened: bool = True
    is_earlier: bool = False

    @property
    def is_useless(self) -> bool:
        """Whether the object may be deleted."""
        return self.opened and (self.problem is not None or self.is_earlier)


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
        finding = await self._read(key, digest)
        if finding is not None and finding.is_useless and self._delete:
            # A server may have created it again.
            finding = await self._read(key, digest)
            if finding is not None and finding.is_useless:
                await self._storage.delete(key)
        if finding is not None:
            self._count(key, finding)
        self._report(self._reading)

    async def _read(self, key: str, digest: Digest) -> _Finding | None:
        """Return None if the object was removed."""
        finding = await self._workers.run(_read_object, self._storage, key, digest)
        if finding is None and key in await self._storage.keys(key):
            return _Finding(0, "damaged, not a readable file")
        return finding

    def _count(self, key: str, finding: _Finding) -> None:
        self._reading.objects += finding.opened
        self._reading.size += finding.size
        self._reading.earlier += finding.is_earlier
        if finding.problem:
            self._reading.damaged += finding.opened
            self._reading.unread += not finding.opened
            deleted = ", deleted" if finding.opened and self._delete else ""
            self._name(f"{key}: {finding.problem}{deleted}")


@blocking
def verify(
    settings: Settings,
    *,
    delete: bool,
    name: Callable[[str], None],
    report: Callable[[Reading], None],
) -> Reading:
    """Verify the storage of the settings.  Raises NothingToVerify, StorageUnavailable."""
    match settings.backend:
        case MemoryBackend():
            raise NothingToVerify("storage in memory cannot be verified: it ends with its server")
        case FilesystemBackend(path) if not path.is_dir():
            # Started, the storage would create the directory, and report no damage.
            raise NothingToVerify(f"storage {path} does not exist (see NIXERY_STORAGE_PATH)")
    return asyncio.run(_verify(settings, delete=delete, name=name, report=report))


async def _verify(
    settings: Settings,
    *,
    delete: bool,
    name: Callable[[str], None],
    report: Callable[[Reading], None],
) -> Reading:
    storage = storage_of(settings)
    try:
        await storage.start()
    except StorageUnavailable:
        # After an error a disk may be mounted read-only; it can still be verified.
        if delete or not isinstance(settings.backend, FilesystemBackend):
            raise
    try:
        verifier = Verifier(
            storage=storage,
            workers=Workers(settings.workers),
            delete=delete,
            name=name,
            report=report,
        )
        return await verifier.verify()
    finally:
        await storage.close()


def _digest(key: str) -> Digest | None:
    """Return the digest at the end of a key; None for a file that is not an object."""
    try:
        digest = Digest.parse(f"sha256:{key.rpartition('/')[2]}")
    except DigestInvalid:
        return None
    return digest if key.rpartition("/")[0] in _PREFIXES else None


@blocking
def _read_object(storage: Storage, key: str, digest: Digest) -> _Finding | None:
    """Return None if the object does not exist."""
    try:
        file = storage.open_raw(key)
    except ObjectNotFound:
        return None
    except StorageUnavailable as error:
        return _Finding(0, f"could not be opened: {error.__cause__ or error}", opened=False)
    name = key.partition("/")[0]
    with file:
        try:
            if name in FORMER_KINDS:
                return _Finding(0, None, is_earlier=True)
            kind = RECORD_KINDS.get(name)
            return _content(file, digest) if kind is None else _record(file, kind, digest)
        except OSError as error:
            return _Finding(0, f"damaged, cannot be read: {error.strerror}")


@blocking
def _content(file: BinaryIO, digest: Digest) -> _Finding:
    """Raises OSError."""
    read, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        read.update(chunk)
        size += len(chunk)
    found = read.hexdigest()
    if found == digest.hex:
        return _Finding(size, None)
    return _Finding(size, f"damaged, its {size:,} bytes have the digest sha256:{found}")


@blocking
def _record(file: BinaryIO, kind: Kind[Any], key: Digest) -> _Finding:
    """Raises OSError."""
    body = file.read(READ_LIMIT + 1)
    if len(body) > READ_LIMIT:
        return _Finding(len(body), "damaged, too large")
    try:
        version = record_version(kind, key, body)
    except Damaged as error:
        return _Finding(len(body), f"damaged, {error}")
    return _Finding(len(body), None, is_earlier=version is RecordVersion.EARLIER)

"""``nixery verify``: whether every stored blob, manifest and record is what its key says."""

import asyncio
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

import typer

from app.commands.failures import reported_failures
from app.commands.record_kinds import FORMER_KINDS, RECORD_KINDS
from app.commands.terminal import Line
from app.errors import DigestInvalid, OperatorError, StorageUnavailable
from app.oci import Digest
from app.settings.loading import load_settings
from app.settings.sections.storage import FilesystemBackend, MemoryBackend
from app.settings.settings import Settings
from app.storage.base import READ_LIMIT, ObjectNotFound, Storage
from app.storage.records.envelope import Damaged
from app.storage.records.kind import Kind
from app.storage.records.version import RecordVersion, record_version
from app.system.concurrency import gather
from app.system.workers import Workers
from app.text.sanitize import visible
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
            help="Remove what is damaged; the next pull by tag makes it again, with the same digest."
            " Records of earlier versions are removed too.",
        ),
    ] = False,
) -> None:
    """Read every object of the storage that the server's settings name, and name the damaged ones.

    Servers may run at the same time. The exit status is 1 if any object is damaged.
    """
    line = Line(sys.stderr)

    def name(finding: str) -> None:
        line.clear()
        sys.stdout.write(f"{visible(finding)}\n")
        sys.stdout.flush()

    def report(reading: Reading) -> None:
        if line.is_due():
            rate = reading.size / line.elapsed / 1e6
            line.show(f"{reading.objects:,} of {reading.wanted:,} objects, {rate:,.0f} MB/s")

    with reported_failures("verify", stopped="what has been named is damaged"):
        reading = verify(load_settings(), delete=delete, name=name, report=report)
        name(
            f"{reading.objects:,} objects with {reading.size:,} bytes read in {line.elapsed:.1f} s:"
            f" {reading.damaged:,} damaged"
            + (f", {reading.unread:,} could not be opened" if reading.unread else "")
            + (_earlier(reading.earlier, delete=delete) if reading.earlier else "")
        )
    if reading.damaged or reading.unread:
        raise typer.Exit(1)


def _earlier(count: int, *, delete: bool) -> str:
    noun = "record" if count == 1 else "records"
    return f", {count:,} {noun} of an earlier version, {'deleted' if delete else 'unused'}"


class NothingToVerify(OperatorError):
    """One line: why nothing can be stored there."""


@dataclass(slots=True)
class Reading:
    """``size`` is in bytes; ``unread`` counts what could not be opened, and is not deleted.

    ``earlier`` counts records that an earlier version of the server wrote; this one reads none.
    """

    wanted: int = 0
    objects: int = 0
    size: int = 0
    damaged: int = 0
    unread: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    """At one object: ``problem`` is None for what is whole."""

    size: int
    problem: str | None
    opened: bool = True
    is_earlier: bool = False

    @property
    def is_useless(self) -> bool:
        """Whether the object may be deleted."""
        return self.opened and (self.problem is not None or self.is_earlier)


class Verifier:
    """``name`` gets a line for each object that is not whole, ``report`` the count after each.

    Servers may use the storage meanwhile: what they add is not looked at, what they remove is
    no fault, and what they make again is not deleted.
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
        """Raises StorageUnavailable if nothing can be listed, or a damaged object deleted."""
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
        look = await self._look(key, digest)
        if look is not None and look.is_useless and self._delete:
            # It may have been made again while it was read.
            look = await self._look(key, digest)
            if look is not None and look.is_useless:
                await self._storage.delete(key)
        if look is not None:
            self._count(key, look)
        self._report(self._reading)

    async def _look(self, key: str, digest: Digest) -> _Look | None:
        """Return None if it was removed meanwhile."""
        look = await self._workers.run(_look, self._storage, key, digest)
        if look is None and key in await self._storage.keys(key):
            return _Look(0, "damaged, it is not a readable file")
        return look

    def _count(self, key: str, look: _Look) -> None:
        self._reading.objects += look.opened
        self._reading.size += look.size
        self._reading.earlier += look.is_earlier
        if look.problem:
            self._reading.damaged += look.opened
            self._reading.unread += not look.opened
            deleted = ", deleted" if look.opened and self._delete else ""
            self._name(f"{key}: {look.problem}{deleted}")


def verify(
    settings: Settings,
    *,
    delete: bool,
    name: Callable[[str], None],
    report: Callable[[Reading], None],
) -> Reading:
    """Blocking.  The storage of the settings; raises NothingToVerify, StorageUnavailable."""
    match settings.backend:
        case MemoryBackend():
            raise NothingToVerify("storage in memory cannot be verified: it ends with its server")
        case FilesystemBackend(path) if not path.is_dir():
            # Started, the storage would create the directory, and report no damage.
            raise NothingToVerify(f"there is no storage at {path} (see NIXERY_STORAGE_PATH)")
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
        # A disk that failed may be mounted read-only now, which is when one wants to know.
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
    """Return the digest that a key ends with; None for a file that is not an object."""
    try:
        digest = Digest.parse(f"sha256:{key.rpartition('/')[2]}")
    except DigestInvalid:
        return None
    return digest if key.rpartition("/")[0] in _PREFIXES else None


def _look(storage: Storage, key: str, digest: Digest) -> _Look | None:
    """Blocking.  Return None if there is no object."""
    try:
        file = storage.open_raw(key)
    except ObjectNotFound:
        return None
    except StorageUnavailable as error:
        return _Look(0, f"could not be opened: {error.__cause__ or error}", opened=False)
    name = key.partition("/")[0]
    with file:
        try:
            if name in FORMER_KINDS:
                return _Look(0, None, is_earlier=True)
            kind = RECORD_KINDS.get(name)
            return _content(file, digest) if kind is None else _record(file, kind, digest)
        except OSError as error:
            return _Look(0, f"damaged, it cannot be read: {error.strerror}")


def _content(file: BinaryIO, digest: Digest) -> _Look:
    """Blocking.  Raises OSError."""
    read, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        read.update(chunk)
        size += len(chunk)
    found = read.hexdigest()
    if found == digest.hex:
        return _Look(size, None)
    return _Look(size, f"damaged, its {size:,} bytes are those of sha256:{found}")


def _record(file: BinaryIO, kind: Kind[Any], key: Digest) -> _Look:
    """Blocking.  Raises OSError."""
    body = file.read(READ_LIMIT + 1)
    if len(body) > READ_LIMIT:
        return _Look(len(body), "damaged, it is too large")
    try:
        version = record_version(kind, key, body)
    except Damaged as error:
        return _Look(len(body), f"damaged, {error}")
    return _Look(len(body), None, is_earlier=version is RecordVersion.EARLIER)

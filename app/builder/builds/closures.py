"""Closures of store paths, each queried from the store once and recorded.

A store path names its content and its references, so its closure is the same at any time and on
every machine.  An image of recorded packages is planned without starting Nix.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.store import Store
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.concurrency import gather
from app.system.workers import Workers

# Closures of packages that were requested by name: some hundred store paths each.
_LIMIT = 256
_WORKERS = 2

_Objects = tuple[StoreObject, ...]


def _complete(objects: _Objects) -> _Objects:
    """Return the objects.  Raises ValueError if a reference is missing."""
    Closure(objects)
    return objects


CLOSURES = Kind(
    name="closures", format=2, adapter=TypeAdapter(Annotated[_Objects, AfterValidator(_complete)])
)


class Closures:
    """The recorded closures of store paths."""

    def __init__(self, *, storage: Storage, store: Store) -> None:
        self._store = store
        self._records = Records(storage=storage, kind=CLOSURES)
        self._cache: Cache[StorePath, Closure] = Cache(_LIMIT)
        self._workers = Workers(_WORKERS)

    async def read(self, paths: Iterable[StorePath]) -> Closure | None:
        """Return the union of the recorded closures; None if one of them is not recorded."""
        wanted = sorted(set(paths))
        known = await gather(map(self._recorded, wanted))
        objects: dict[StorePath, StoreObject] = {}
        for path, closure in zip(wanted, known, strict=True):
            if closure is None or path not in closure:
                return None
            objects.update(closure.objects)
        return Closure(objects.values())

    async def _recorded(self, path: StorePath) -> Closure | None:
        closure = self._cache.get(path)
        if closure is None:
            objects = await self._records.read(_key(path))
            if objects is not None:
                closure = self._cache[path] = Closure(objects)
        return closure

    async def query(self, paths: Iterable[StorePath]) -> Closure:
        """Return the closure of valid paths, and record that of each.

        Raises StoreUnavailable, StorageUnavailable.
        """
        wanted = sorted(set(paths))
        closure = await self._store.closure(wanted)
        await gather(self._record(closure, path) for path in wanted)
        return closure

    async def _record(self, closure: Closure, path: StorePath) -> None:
        body = await self._workers.run(self._encode, closure, path)
        await self._records.write_body(_key(path), body)

    @blocking
    def _encode(self, closure: Closure, path: StorePath) -> bytes:
        """Return the record of a path's closure; 3,000 paths take 30 ms."""
        return self._records.encode(_key(path), closure.below(path))


def _key(path: StorePath) -> Digest:
    return CLOSURES.key(path=path.base)

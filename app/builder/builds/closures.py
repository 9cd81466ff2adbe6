"""Closures remembered by the store path they belong to.

A store path names its content and its references, so its closure is the same at any
time and on every machine: an image made of known packages is laid out without asking Nix.
"""

import asyncio
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.cache import Cache

# Of packages that were asked for by name: some hundred store paths each.
_KEPT = 256

_Objects = tuple[StoreObject, ...]


def _complete(objects: _Objects) -> _Objects:
    """Raises ValueError if a reference is missing."""
    Closure(objects)
    return objects


CLOSURES = Kind(
    name="closures", format=1, adapter=TypeAdapter(Annotated[_Objects, AfterValidator(_complete)])
)


class Closures:
    def __init__(self, *, storage: Storage) -> None:
        self._records = Records(storage=storage, kind=CLOSURES)
        self._kept: Cache[StorePath, Closure] = Cache(_KEPT)

    async def read(self, paths: Iterable[StorePath]) -> Closure | None:
        """The union of the paths' closures, or None if one of them is not known."""
        wanted = sorted(set(paths))
        known = await asyncio.gather(*map(self._known, wanted))
        objects: dict[StorePath, StoreObject] = {}
        for path, closure in zip(wanted, known, strict=True):
            if closure is None or path not in closure:
                return None
            objects.update(closure.objects)
        return Closure(objects.values())

    async def _known(self, path: StorePath) -> Closure | None:
        closure = self._kept.get(path)
        if closure is None:
            objects = await self._records.read(_key(path))
            if objects is not None:
                closure = self._kept[path] = Closure(objects)
        return closure

    async def write(self, paths: Iterable[StorePath], closure: Closure) -> None:
        """Remember each path's own part of the closure."""
        await asyncio.gather(
            *(self._records.write(_key(path), closure.below(path)) for path in sorted(set(paths)))
        )


def _key(path: StorePath) -> Digest:
    return CLOSURES.key(path=path.base)

"""Closures remembered by the store path they belong to.

A store path names its content and its references, so what Nix said of it once holds for
ever, on every machine: an image made of known packages is laid out without asking Nix.
"""

import asyncio
from collections.abc import Iterable

from app.builder.closure import Closure, StoreObject, StorePath
from app.builder.records.records import Records, key_of
from app.oci import Digest
from app.storage.base import Storage

_FORMAT = 1
# Of packages that were asked for by name: some hundred store paths each.
_KEPT = 256


class Closures:
    def __init__(self, *, storage: Storage) -> None:
        self._records = Records(storage=storage, kind="closures")
        self._kept: dict[StorePath, Closure] = {}

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
            closure = await self._records.read(_key(path), _parse)
            if closure is not None:
                if len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[path] = closure
        return closure

    async def write(self, paths: Iterable[StorePath], closure: Closure) -> None:
        """Remember each path's own part of the closure."""
        await asyncio.gather(
            *(
                self._records.write(_key(path), _document(closure.below(path)))
                for path in sorted(set(paths))
            )
        )


def _key(path: StorePath) -> Digest:
    return key_of({"format": _FORMAT, "closure": path.base})


def _document(objects: Iterable[StoreObject]) -> dict[str, object]:
    return {
        "objects": [
            [item.path.base, item.nar_size, [reference.base for reference in item.references]]
            for item in objects
        ]
    }


def _parse(document: dict[str, object]) -> Closure:
    rows = document["objects"]
    if not isinstance(rows, list):
        raise TypeError("objects is not a list")
    return Closure(_object(row) for row in rows)


def _object(row: object) -> StoreObject:
    match row:
        case [str(base), int(nar_size), [*references]]:
            paths = tuple(StorePath.parse(str(reference)) for reference in references)
            return StoreObject(StorePath.parse(base), nar_size, paths)
        case _:
            raise TypeError("not a store object")

"""File trees, each read from the store once and recorded, and the merging of packages' trees."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from app.builder.images.contents.accounts import service_additions
from app.builder.images.contents.additions import Additions, join, over
from app.builder.images.contents.claims import Package
from app.builder.images.contents.file_tree import FileTree
from app.builder.images.contents.flat_file_tree import FlatFileTree, complete, flatten, unflatten
from app.builder.images.contents.foreign import MOST_BYTES, Adopted, compose_loader
from app.builder.images.contents.interpreters import Composed, compose_languages
from app.builder.images.contents.nix_inside import has_nix, nix_additions
from app.builder.images.contents.reading import read_file, read_file_tree
from app.builder.images.contents.subtree import SubtreeCache
from app.builder.images.contents.symlink_tree import SymlinkTree, merge
from app.builder.images.packing.entry import Entry
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.service import Service
from app.builder.nix.store import StoreReader, UnreadablePath, UnsupportedTree
from app.errors import LinksTooMany, StoreUnreadable, Unpackable
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.concurrency import gather
from app.system.workers import Workers

# Raise the format when a file tree holds something else.  The kind's name is part of storage keys.
FILE_TREES = Kind(
    name="listings",
    format=3,
    adapter=TypeAdapter(Annotated[FlatFileTree, AfterValidator(complete)]),
)
# Names in all that are cached, of some 100 bytes of memory each.
_CACHED_NAMES = 1_000_000
# Bytes; the links to the largest packages are two megabytes.
_CACHED_SUBTREES = 64 << 20


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The links to packages, and what the image has beside them."""

    links: SymlinkTree
    additions: Additions

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries; directories of both parts are those of the merged packages."""
        merged = {entry.name for entry in self.links.entries}
        added = (entry for entry in self.additions.entries if entry.name not in merged)
        return (*self.links.entries, *added)

    def with_base(self, base: Iterable[Entry]) -> tuple[Entry, ...]:
        """Return all entries over those of ``base``, for one layer."""
        found = {entry.name: entry for part in (base, self.entries) for entry in part}
        return tuple(found.values())


class FileTrees:
    """Reads and caches file trees.

    A large package has tens of thousands of names, so workers process them.
    """

    def __init__(self, *, storage: Storage, workers: Workers, store: StoreReader) -> None:
        self._records = Records(storage=storage, kind=FILE_TREES)
        self._workers = workers
        self._store = store
        self._cache: Cache[StorePath, FileTree] = Cache(_CACHED_NAMES, size_of=_names)
        self._subtrees = SubtreeCache(budget=_CACHED_SUBTREES)

    async def has_all(self, paths: Sequence[StorePath]) -> bool:
        """Return whether ``read`` would not need the store for any of the paths."""
        return None not in await self._known(paths)

    async def read(self, path: StorePath, closure: Closure) -> FileTree:
        """Return what is below the path; ``closure`` includes the path's own.

        Raises Unpackable, StoreUnreadable, StorageUnavailable.
        """
        (tree,) = await self._known([path])
        if tree is None:
            try:
                tree = await self._workers.run(_read, path, self._store, closure)
            except UnsupportedTree as error:
                raise Unpackable(str(path), str(error)) from None
            except UnreadablePath as error:
                raise StoreUnreadable(str(path), str(error)) from error
            key = _key(path)
            await self._records.write_body(key, await self._workers.run(self._encoded, key, tree))
            self._cache[path] = tree
        return tree

    async def merge(
        self,
        packages: Iterable[tuple[StorePath, int]],
        base: Sequence[Entry],
        closure: Closure,
        services: Mapping[str, Service] = MappingProxyType({}),
        *,
        nonroot: bool = False,
    ) -> ImageFiles:
        """Merge the packages, given with their priorities, over ``base``.

        ``closure`` is that of all packages; ``services`` are some of them, by name.  Raises
        LinksTooMany, and as ``read`` does.
        """
        ordered = tuple(packages)

        async def read(paths: Sequence[StorePath]) -> Sequence[FileTree]:
            return await gather(self.read(path, closure) for path in paths)

        trees = await read([path for path, _ in ordered])
        prioritized = [
            Package(path, tree, priority)
            for (path, priority), tree in zip(ordered, trees, strict=True)
        ]

        @blocking
        def combine(composed: Composed, adopted: Adopted) -> ImageFiles:
            nix = Additions()
            if has_nix(prioritized):
                nix = nix_additions(prioritized, closure, nonroot=nonroot)
            accounts = service_additions(services, over(base, nix.entries), nonroot=nonroot)
            added = join((accounts, nix, composed.additions, adopted.additions))
            merged = (*adopted.packages, *composed.packages)
            return ImageFiles(merge(merged, over(base, added.entries), self._subtrees.make), added)

        try:
            composed = await compose_languages(prioritized, closure, read)
            adopted = await compose_loader(prioritized, self._read_file)
            return await self._workers.run(combine, composed, adopted)
        except UnsupportedTree as error:
            names = tuple(path.name for path, _ in ordered)
            raise LinksTooMany(names, str(error)) from None

    async def _read_file(self, path: StorePath, place: bytes) -> bytes:
        """Return the content of a file of a store path.

        Raises UnsupportedTree, StoreUnreadable.
        """
        try:
            async with self._store.fetching(path):
                return await self._workers.run(read_file, path, place, self._store, most=MOST_BYTES)
        except UnreadablePath as error:
            raise StoreUnreadable(str(path), str(error)) from error

    async def _known(self, paths: Sequence[StorePath]) -> list[FileTree | None]:
        known = {path: self._cache.get(path) for path in paths}
        unknown = [path for path, tree in known.items() if tree is None]
        if unknown:
            keys = [_key(path) for path in unknown]
            bodies = await self._records.bodies(keys)
            trees = await self._workers.run(self._decoded, keys, bodies)
            for path, tree in zip(unknown, trees, strict=True):
                if tree is not None:
                    self._cache[path] = known[path] = tree
        return [known[path] for path in paths]

    @blocking
    def _encoded(self, key: Digest, tree: FileTree) -> bytes:
        return self._records.encode(key, flatten(tree))

    @blocking
    def _decoded(
        self, keys: Sequence[Digest], bodies: Sequence[bytes | None]
    ) -> list[FileTree | None]:
        found = self._records.decode_each(keys, bodies)
        return [None if flat is None else unflatten(flat) for flat in found]


@blocking
def _read(path: StorePath, store: StoreReader, closure: Closure) -> FileTree:
    """Read a file tree, which does not depend on the other packages of an image."""
    return read_file_tree(path, store, [item.path for item in closure.below(path)])


def _names(tree: FileTree) -> int:
    return tree.names + 1


def _key(path: StorePath) -> Digest:
    return FILE_TREES.key(path=path.base)

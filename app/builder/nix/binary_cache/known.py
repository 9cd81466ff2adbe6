"""A cache of narinfos in one SQLite file.

A binary cache does not change the references of a store path.  Two caches may have different
contents under one path, so each row belongs to a cache.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from app.builder.nix.binary_cache.narinfo import NarInfo
from app.builder.nix.closure import StorePath
from app.errors import OperatorError
from app.system.blocking import blocking_class

_FORMAT = 2
_OLD_FORMATS = {0, 1}  # 0 is a new file; rows of format 1 have no cache, and are not used
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cache_narinfos (
    cache TEXT NOT NULL,
    hash TEXT NOT NULL,
    name TEXT NOT NULL,
    nar_size INTEGER NOT NULL,
    refs TEXT NOT NULL,
    PRIMARY KEY (cache, hash)
) WITHOUT ROWID
"""
_SELECT = "SELECT hash, name, nar_size, refs FROM cache_narinfos WHERE cache = ?"
_AT_ONCE = 500
_BUSY_SECONDS = 60


class KnownUnusable(OperatorError):
    """The message is one line with the file and the reason."""


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise KnownUnusable(
            f"cannot keep what was read in {path}: {error}; delete it or name another file"
        ) from None


@blocking_class
class KnownNarInfos:
    """The narinfos of one cache.

    One thread uses it.  Several processes and caches may share a file.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, cache: str) -> None:
        self._connection = connection
        self._path = path
        self._cache = cache

    @classmethod
    def open(cls, path: Path, *, cache: str) -> Self:
        """Open the file, and make it if it is missing.

        ``cache`` is the location of the binary cache.  Raises KnownUnusable.
        """
        with ExitStack() as opened, _translate_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = opened.enter_context(closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)))
            with connection:
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                if found not in {*_OLD_FORMATS, _FORMAT}:
                    raise KnownUnusable(f"{path} was written by another version; name another file")
                if found in _OLD_FORMATS:
                    connection.execute("DROP TABLE IF EXISTS narinfos")
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
            opened.pop_all()
            return cls(connection, path, cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def read(self, hash_parts: Iterable[str]) -> Mapping[str, NarInfo]:
        """Return the stored narinfos by hash part; hash parts without one are left out.

        Raises KnownUnusable.
        """
        with _translate_errors(self._path):
            return self._read(sorted(set(hash_parts)))

    def write(self, narinfos: Iterable[NarInfo]) -> None:
        """Store all of them or none; they survive a power cut once this returns.

        Raises KnownUnusable.
        """
        with _translate_errors(self._path):
            self._write(narinfos)

    def _read(self, wanted: Sequence[str]) -> Mapping[str, NarInfo]:
        found: dict[str, NarInfo] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"{_SELECT} AND hash IN ({marks})"
            with closing(self._connection.execute(query, [self._cache, *some])) as rows:
                for hash_part, name, nar_size, references in rows:
                    found[hash_part] = NarInfo(
                        StorePath(f"{hash_part}-{name}"),
                        nar_size,
                        tuple(StorePath(base) for base in references.split()),
                    )
        return found

    def _write(self, narinfos: Iterable[NarInfo]) -> None:
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO cache_narinfos VALUES (?, ?, ?, ?, ?)",
                (
                    (
                        self._cache,
                        n.path.hash_part,
                        n.path.name,
                        n.nar_size,
                        " ".join(r.base for r in n.references),
                    )
                    for n in narinfos
                ),
            )

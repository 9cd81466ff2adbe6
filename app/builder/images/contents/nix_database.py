"""Nix's database of valid paths, for a closure (Nix: src/libstore/schema.sql)."""

from collections.abc import Mapping

from app.builder.images.contents.sqlite_file import Index, Row, Table, Trigger, database
from app.builder.nix.closure import Closure, StorePath

# The version of the schema, in the file beside the database.
SCHEMA = b"10"

_VALID_PATHS = """\
CREATE TABLE ValidPaths (
    id integer primary key autoincrement not null,
    path text unique not null,
    hash text not null,
    registrationTime integer not null,
    deriver text,
    narSize integer,
    ultimate integer,
    sigs text,
    ca text
)"""
_REFS = """\
CREATE TABLE Refs (
    referrer integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
)"""
_DELETE = """\
CREATE TRIGGER DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end"""
_OUTPUTS = """\
CREATE TABLE DerivationOutputs (
    drv integer not null,
    id text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
)"""
_TIME, _TRUSTED = 1, 1


def nix_database(closure: Closure) -> bytes:
    """Return the file; derivers and signatures are not in it, since caches differ in them.

    The paths count as built here, so that Nix trusts them without signatures.
    """
    numbers = {path: number for number, path in enumerate(closure.paths, 1)}
    return database(
        (*_valid_paths(closure, numbers), *_references(closure, numbers), *_derivation_outputs())
    )


def _valid_paths(closure: Closure, numbers: Mapping[StorePath, int]) -> tuple[Table | Index, ...]:
    rows: list[tuple[int, Row]] = []
    for path, item in closure.objects.items():
        digest = f"sha256:{item.nar_hash}"
        row = (None, str(path), digest, _TIME, None, item.nar_size, _TRUSTED, None, None)
        rows.append((numbers[path], row))
    by_path = [(str(path), number) for path, number in numbers.items()]
    sequence = "CREATE TABLE sqlite_sequence(name,seq)"
    return (
        Table("ValidPaths", _VALID_PATHS, rows),
        Index("sqlite_autoindex_ValidPaths_1", "ValidPaths", None, by_path),
        Table("sqlite_sequence", sequence, [(1, ("ValidPaths", len(rows)))]),
    )


def _references(
    closure: Closure, numbers: Mapping[StorePath, int]
) -> tuple[Table | Index | Trigger, ...]:
    pairs: list[tuple[int, int]] = []
    for path, item in closure.objects.items():
        pairs += sorted((numbers[path], numbers[reference]) for reference in item.references)
    numbered = list(enumerate(pairs, 1))
    return (
        Table("Refs", _REFS, numbered),
        Index("sqlite_autoindex_Refs_1", "Refs", None, [(*pair, n) for n, pair in numbered]),
        Index(
            "IndexReferrer",
            "Refs",
            "CREATE INDEX IndexReferrer on Refs(referrer)",
            [(referrer, n) for n, (referrer, _) in numbered],
        ),
        Index(
            "IndexReference",
            "Refs",
            "CREATE INDEX IndexReference on Refs(reference)",
            sorted((reference, n) for n, (_, reference) in numbered),
        ),
        Trigger("DeleteSelfRefs", "ValidPaths", _DELETE),
    )


def _derivation_outputs() -> tuple[Table | Index, ...]:
    by_path = "CREATE INDEX IndexDerivationOutputs on DerivationOutputs(path)"
    return (
        Table("DerivationOutputs", _OUTPUTS),
        Index("sqlite_autoindex_DerivationOutputs_1", "DerivationOutputs", None),
        Index("IndexDerivationOutputs", "DerivationOutputs", by_path),
    )

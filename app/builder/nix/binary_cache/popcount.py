"""Nixery's popularity data: how often the paths of a package set are referred to."""

from collections import Counter
from collections.abc import Iterable, Mapping

from app.builder.nix.binary_cache.narinfo import NarInfo
from app.oci import canonical_json


def count_references(narinfos: Iterable[NarInfo]) -> Mapping[str, int]:
    """Count references by name with version; a self reference counts, as does each repetition."""
    return Counter(reference.name for narinfo in narinfos for reference in narinfo.references)


def popularity_json(counts: Mapping[str, int]) -> bytes:
    """Return the bytes that Nixery's popcount writes, without names that have one reference."""
    return canonical_json({name: count for name, count in counts.items() if count > 1})

"""Nixery's popularity data: how often the paths of a package set are referred to."""

from collections import Counter
from collections.abc import Iterable, Mapping

from app.builder.nix.binary_cache.narinfo import NarInfo
from app.oci import canonical_json


def count_references(narinfos: Iterable[NarInfo]) -> Mapping[str, int]:
    """By name with version.  A path's reference to itself counts, as does every repetition."""
    return Counter(reference.name for narinfo in narinfos for reference in narinfo.references)


def popularity_json(counts: Mapping[str, int]) -> bytes:
    """Byte for byte what Nixery's popcount writes: what is referred to once is not popular."""
    return canonical_json({name: count for name, count in counts.items() if count > 1})

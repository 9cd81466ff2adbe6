"""Closures made by hand, for the tests of grouping."""

import hashlib
from collections.abc import Mapping, Sequence

from app.builder.nix.closure import Closure, StoreObject, StorePath

_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"


def store_path(name: str, salt: str = "") -> StorePath:
    digest = hashlib.sha256(f"{name}{salt}".encode()).digest()
    return StorePath.parse("".join(_ALPHABET[byte % 32] for byte in digest) + f"-{name}")


def closure(packages: Mapping[str, tuple[int, Sequence[str]]]) -> Closure:
    """Make a closure from ``{name: (size, names it refers to)}``."""
    return Closure(
        StoreObject(store_path(name), size, tuple(sorted(store_path(other) for other in others)))
        for name, (size, others) in packages.items()
    )

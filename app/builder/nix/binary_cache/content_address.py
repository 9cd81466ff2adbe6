"""The store path that a content address stands for (Nix: doc/manual, "Store Path Specification")."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from app.builder.nix.binary_cache import nix32
from app.builder.nix.closure import STORE, StorePath

_HASH_PART = 20


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """How a store path's content decides its name.

    ``method`` is "text" or "flat" for the hash of a file, "recursive" for that of an archive.
    """

    method: str
    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> "ContentAddress":
        """Parse the field ``CA`` of a narinfo.  Raises ValueError."""
        kind, _, rest = text.partition(":")
        match kind:
            case "text":
                method = "text"
            case "fixed" if rest.startswith("r:"):
                method, rest = "recursive", rest.removeprefix("r:")
            case "fixed" if not rest.startswith("git:"):
                method = "flat"
            case _:
                raise ValueError(f"unknown content address: {text[:100]!r}")
        return cls(method, *nix32.parse_hash(rest))

    def path(self, name: str, references: Iterable[StorePath], *, to_itself: bool) -> StorePath:
        """Return the store path of the content.

        ``references`` are those to other paths.  Raises ValueError if the kind of address does not
        allow references.
        """
        others = sorted(map(str, references))
        match self.method, self.algorithm:
            case "text", "sha256" if not to_itself:
                return _store_path(":".join(["text", *others]), self.digest, name)
            case "recursive", "sha256":
                itself = ["self"] if to_itself else []
                return _store_path(":".join(["source", *others, *itself]), self.digest, name)
            case "flat" | "recursive", _ if not others and not to_itself:
                how = "r:" if self.method == "recursive" else ""
                inner = f"fixed:out:{how}{self.algorithm}:{self.digest.hex()}:"
                digest = hashlib.sha256(inner.encode()).digest()
                return _store_path("output:out", digest, name)
            case _:
                raise ValueError("a content address that allows no references")


def _store_path(kind: str, digest: bytes, name: str) -> StorePath:
    fingerprint = f"{kind}:sha256:{digest.hex()}:{STORE}:{name}"
    folded = bytearray(_HASH_PART)
    for place, byte in enumerate(hashlib.sha256(fingerprint.encode()).digest()):
        folded[place % _HASH_PART] ^= byte
    return StorePath.parse(f"{nix32.encode(bytes(folded))}-{name}")

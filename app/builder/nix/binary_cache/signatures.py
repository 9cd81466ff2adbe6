"""Signatures of store paths in binary caches, and the keys that are trusted."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from app.builder.nix.closure import StorePath
from app.system.on_demand import OnDemand

if TYPE_CHECKING:
    from cryptography import exceptions
    from cryptography.hazmat.primitives.asymmetric import ed25519
else:
    exceptions = OnDemand("cryptography.exceptions")
    ed25519 = OnDemand("cryptography.hazmat.primitives.asymmetric.ed25519")

_KEY_SIZE = 32
_SIGNATURE_SIZE = 64
# A narinfo is some hundred bytes; verifying a signature takes a tenth of a millisecond.
MOST_SIGNATURES = 100


def fingerprint(
    path: StorePath, nar_hash: str, nar_size: int, references: Iterable[StorePath]
) -> bytes:
    """Return the signed bytes; ``nar_hash`` is in base 32 with its algorithm."""
    sorted_references = ",".join(sorted(map(str, references)))
    return f"1;{path};{nar_hash};{nar_size};{sorted_references}".encode()


class TrustedKeys:
    """Public keys by name, as in Nix's setting ``trusted-public-keys``; invalid ones are ignored."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys: dict[str, bytes] = {}
        # Made when they are needed, which imports the library.
        self._made: dict[str, ed25519.Ed25519PublicKey] = {}
        for key in keys:
            name, data = _decoded(key, _KEY_SIZE)
            if data is not None:
                self._keys[name] = data

    def are_signed(self, signed: bytes, signatures: Sequence[str]) -> bool:
        """Return whether a trusted key signed the bytes; only the key of the same name counts."""
        for signature in signatures[:MOST_SIGNATURES]:
            name, data = _decoded(signature, _SIGNATURE_SIZE)
            if name not in self._keys or data is None:
                continue
            try:
                self._key(name).verify(data, signed)
            except exceptions.InvalidSignature:
                continue
            return True
        return False

    def _key(self, name: str) -> "ed25519.Ed25519PublicKey":
        if name not in self._made:
            self._made[name] = ed25519.Ed25519PublicKey.from_public_bytes(self._keys[name])
        return self._made[name]


def _decoded(text: str, size: int) -> tuple[str, bytes | None]:
    name, _, encoded = text.partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return name, None
    return name, data if name and len(data) == size else None

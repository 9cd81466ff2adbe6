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
        # Several have one name after a key was replaced.
        self._keys: dict[str, list[bytes]] = {}
        # Made when they are needed, which imports the library.
        self._made: dict[bytes, ed25519.Ed25519PublicKey] = {}
        for key in keys:
            name, data = _decoded(key, _KEY_SIZE)
            if data is not None:
                self._keys.setdefault(name, []).append(data)

    def are_signed(self, signed: bytes, signatures: Sequence[str]) -> bool:
        """Return whether a trusted key signed the bytes; only keys of the same name count."""
        for signature in signatures[:MOST_SIGNATURES]:
            name, data = _decoded(signature, _SIGNATURE_SIZE)
            if data is not None and any(
                self._is_signed(key, data, signed) for key in self._keys.get(name, ())
            ):
                return True
        return False

    def _is_signed(self, key: bytes, signature: bytes, signed: bytes) -> bool:
        if key not in self._made:
            self._made[key] = ed25519.Ed25519PublicKey.from_public_bytes(key)
        try:
            self._made[key].verify(signature, signed)
        except exceptions.InvalidSignature:
            return False
        return True


def _decoded(text: str, size: int) -> tuple[str, bytes | None]:
    name, _, encoded = text.partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return name, None
    return name, data if name and len(data) == size else None

"""Write a signed binary cache: archives, compressed, and their narinfos."""

import base64
import bz2
import hashlib
import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import brotli
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.builder.nix.binary_cache import nix32
from app.builder.nix.binary_cache.signatures import fingerprint
from app.builder.nix.closure import StorePath

_SUFFIXES = {"xz": ".xz", "zstd": ".zst", "bzip2": ".bz2", "br": ".br", "none": ""}
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    # As large as with the default preset, for data of the kind that packages have, and much faster.
    "xz": lambda data: lzma.compress(data, preset=1),
    "zstd": lambda data: zstandard.compress(data, 3),
    "bzip2": bz2.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "none": bytes,
}


@dataclass(frozen=True)
class SigningKey:
    name: str
    secret: Ed25519PrivateKey

    @classmethod
    def new(cls, name: str) -> "SigningKey":
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def public(self) -> str:
        """The key as ``trusted-public-keys`` has it."""
        data = self.secret.public_key().public_bytes_raw()
        return f"{self.name}:{base64.b64encode(data).decode()}"

    def sign(self, data: bytes) -> str:
        return f"{self.name}:{base64.b64encode(self.secret.sign(data)).decode()}"


@dataclass(frozen=True)
class CacheWriter:
    directory: Path
    key: SigningKey
    compression: str = "zstd"

    def begin(self, priority: int = 40) -> None:
        (self.directory / "nar").mkdir(parents=True, exist_ok=True)
        (self.directory / "nix-cache-info").write_text(
            f"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: {priority}\n"
        )

    def add(self, path: StorePath, archive: bytes, references: Iterable[StorePath] = ()) -> None:
        compressed = _COMPRESS[self.compression](archive)
        name = nix32.encode(hashlib.sha256(compressed).digest())
        file = f"nar/{name}.nar{_SUFFIXES[self.compression]}"
        (self.directory / file).write_bytes(compressed)
        nar_hash = f"sha256:{nix32.encode(hashlib.sha256(archive).digest())}"
        refers = sorted(set(references))
        fields = {
            "StorePath": str(path),
            "URL": file,
            "Compression": self.compression,
            "FileHash": f"sha256:{name}",
            "FileSize": str(len(compressed)),
            "NarHash": nar_hash,
            "NarSize": str(len(archive)),
            "References": " ".join(reference.base for reference in refers),
            "Sig": self.key.sign(fingerprint(path, nar_hash, len(archive), refers)),
        }
        text = "".join(f"{key}: {value}\n" for key, value in fields.items())
        (self.directory / f"{path.hash_part}.narinfo").write_text(text)

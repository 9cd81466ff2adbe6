"""The entry of one store path in a binary cache (Nix manual, "Binary cache", narinfo)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.builder.nix.binary_cache import nix32
from app.builder.nix.binary_cache.content_address import ContentAddress
from app.builder.nix.binary_cache.signatures import MOST_SIGNATURES, TrustedKeys, fingerprint
from app.builder.nix.closure import StorePath
from app.errors import OperatorError

# Most narinfos have some hundred bytes; the longest have thousands of references.
SIZE_LIMIT = 4_000_000
# Others are ignored, as by Nix.
_FIELDS = frozenset(
    {
        "StorePath",
        "URL",
        "Compression",
        "FileHash",
        "FileSize",
        "NarHash",
        "NarSize",
        "References",
        "CA",
    }
)
_PRINTABLE = re.compile(r"[!-~]+")
_SIZE = re.compile(r"[0-9]{1,18}")
# Addresses are part of requests, messages and logs.
_LONGEST_URL = 8192


class NarInfoInvalid(OperatorError, ValueError):
    """A response is not the narinfo of the requested path; the message has the reason."""


@dataclass(frozen=True, slots=True)
class NarInfo:
    """What a narinfo states about its store path.

    ``nar_size`` is in bytes.  ``references`` are in the narinfo's order and may include the path
    itself.
    """

    path: StorePath
    nar_size: int
    references: tuple[StorePath, ...]


@dataclass(frozen=True, slots=True)
class Substitute(NarInfo):
    """A narinfo with all that is needed to download the path and to verify it.

    ``url`` is relative to the cache, or absolute.  The signatures cover the path, ``nar_hash``, the
    size and the references only.
    """

    url: str
    compression: str
    file_hash: bytes | None
    file_size: int | None
    nar_hash: bytes
    signatures: tuple[str, ...]
    content_address: ContentAddress | None

    @property
    def signers(self) -> tuple[str, ...]:
        """The names of the keys in the signatures."""
        return tuple(dict.fromkeys(one.partition(":")[0] for one in self.signatures))

    def is_trusted(self, keys: TrustedKeys) -> bool:
        """Return whether a trusted key signed it, or the store path is that of its content."""
        digest = f"sha256:{nix32.encode(self.nar_hash)}"
        signed = fingerprint(self.path, digest, self.nar_size, set(self.references))
        return self.is_content_addressed or keys.are_signed(signed, self.signatures)

    @property
    def is_content_addressed(self) -> bool:
        """Whether the store path follows from the archive's hash, so that no trust is needed.

        An address of a single file, or of a path that refers to itself, is not that of the archive.
        """
        address = self.content_address
        if address is None or address.method != "recursive" or address.algorithm != "sha256":
            return False
        others = set(self.references) - {self.path}
        if len(others) < len(set(self.references)) or address.digest != self.nar_hash:
            return False
        return address.path(self.path.name, others, to_itself=False) == self.path


def parse_narinfo(document: bytes, hash_part: str) -> NarInfo:
    """Parse the narinfo of the path with this hash; the narinfo of another path is invalid.

    Raises NarInfoInvalid.
    """
    return _parse(_fields(document), hash_part)


def parse_substitute(document: bytes, path: StorePath) -> Substitute:
    """Parse the narinfo of the path.  Raises NarInfoInvalid."""
    fields = _fields(document)
    info = _parse(fields, path.hash_part)
    if info.path != path:
        raise NarInfoInvalid(f"the narinfo of {path} is that of {info.path}")
    try:
        nar_hash = _sha256(fields["NarHash"])
        file_hash = fields.get("FileHash", "")
        return Substitute(
            path=info.path,
            nar_size=info.nar_size,
            references=info.references,
            url=_url(fields["URL"]),
            # Nix does the same.
            compression=fields.get("Compression") or "bzip2",
            file_hash=_sha256(file_hash) if file_hash.startswith("sha256") else None,
            # Nix writes 0, or nothing, if it is unknown.
            file_size=_size(fields.get("FileSize") or "0") or None,
            nar_hash=nar_hash,
            signatures=tuple(fields.get("Sig", "").splitlines()),
            content_address=_content_address(fields.get("CA", "")),
        )
    except KeyError as error:
        raise NarInfoInvalid(f"invalid narinfo: {error.args[0]} is missing") from None
    except ValueError as error:
        raise NarInfoInvalid(f"invalid narinfo: {error}") from None


def _fields(document: bytes) -> Mapping[str, str]:
    """Return the fields; signatures, which alone may repeat, have a line for each of the first."""
    if document and not document.endswith(b"\n"):
        # Nix requires the last line break as well.  A cut signature would count as untrusted.
        raise NarInfoInvalid("invalid narinfo: it ends in the middle of a line")
    fields: dict[str, str] = {}
    signatures: list[str] = []
    try:
        lines = document.decode().splitlines()
    except ValueError as error:
        raise NarInfoInvalid(f"invalid narinfo: {error}") from None
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon and line:
            raise NarInfoInvalid(f"invalid narinfo: a line without a colon: {line[:100]!r}")
        if name == "Sig":
            if len(signatures) < MOST_SIGNATURES:
                signatures.append(value.strip())
            continue
        if name not in _FIELDS:
            continue
        if name in fields:
            raise NarInfoInvalid(f"invalid narinfo: two lines with {name[:100]!r}")
        fields[name] = value.strip()
    return fields | {"Sig": "\n".join(signatures)}


def _parse(fields: Mapping[str, str], hash_part: str) -> NarInfo:
    try:
        path = StorePath.parse(fields["StorePath"])
        nar_size = _size(fields["NarSize"])
        references = tuple(StorePath.parse(base) for base in fields.get("References", "").split())
    except KeyError as error:
        raise NarInfoInvalid(f"invalid narinfo: {error.args[0]} is missing") from None
    except ValueError as error:
        raise NarInfoInvalid(f"invalid narinfo: {error}") from None
    if nar_size <= 0:
        raise NarInfoInvalid("invalid narinfo: NarSize is not above 0")
    if path.hash_part != hash_part:
        raise NarInfoInvalid(f"the narinfo of {hash_part} is that of {path}")
    return NarInfo(path, nar_size, references)


def _size(text: str) -> int:
    """Parse a number of bytes.  Raises ValueError."""
    if not _SIZE.fullmatch(text):
        raise ValueError(f"not a size: {text[:100]!r}")
    return int(text)


def _url(text: str) -> str:
    """Return the URL.  Raises ValueError if it is too long, or cannot be part of a request."""
    if len(text) > _LONGEST_URL:
        raise ValueError(f"a URL of more than {_LONGEST_URL:,} characters")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"not a URL: {text[:100]!r}")
    urlsplit(text)
    return text


def _content_address(text: str) -> ContentAddress | None:
    """Return None for an address of a kind that is unknown here: the path needs a signature."""
    try:
        return ContentAddress.parse(text) if text else None
    except ValueError:
        return None


def _sha256(text: str) -> bytes:
    """Parse a SHA-256.  Raises ValueError, also for another algorithm."""
    algorithm, digest = nix32.parse_hash(text)
    if algorithm != "sha256":
        raise ValueError(f"not a SHA-256 hash: {text[:100]!r}")
    return digest

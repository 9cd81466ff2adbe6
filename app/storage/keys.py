"""Every key of the storage.  docs/storage-layout.md shows them as a tree.

Blobs and manifests are content-addressed.  All others are records under the hash of a canonical
document, so that a key has one meaning.
"""

import re

from app.oci import Digest

MOST_SEGMENTS = 8
_SEGMENT = r"[a-z0-9][a-z0-9._-]{0,127}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,{MOST_SEGMENTS - 1}}}")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_PREFIX = re.compile(rf"(?:{_SEGMENT}/){{0,{MOST_SEGMENTS - 1}}}(?:{_SEGMENT})?")


def blob(digest: Digest) -> str:
    """Return the key of a layer or image config."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def sha256_of_blob(key: str) -> str | None:
    """Return the hexadecimal digest that a blob's key ends with; None for other keys."""
    match = _BLOB.fullmatch(key)
    return match[1] if match else None


def manifest(digest: Digest) -> str:
    """Return the key of a manifest."""
    return f"manifests/{digest.algorithm}/{digest.hex}"


def record(kind: str, key: Digest) -> str:
    """Return the key of a record of a kind, such as builds, layers, paths, attributes, closures."""
    return f"{kind}/{key.hex}"


def checked(key: str) -> str:
    """Return the key before it becomes a path or the name of an object.  Raise ValueError.

    Segments do not begin with a dot, so a key cannot lead outside the store or into its staging
    directory.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def is_key(text: str) -> bool:
    """Return whether a file is an object; NFS, for example, makes other files beside them."""
    return _KEY.fullmatch(text) is not None


def checked_prefix(prefix: str) -> str:
    """Return the prefix of keys.  Raise ValueError for another text."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not a prefix of a key: {prefix!r}")
    return prefix

"""Every key we write.  docs/storage-layout.md shows them as a tree.

Blobs and manifests are content-addressed; everything else is a record under the hash of a
canonical document, so that a key never means two things.
"""

import re

from app.oci import Digest

_SEGMENT = r"[a-z0-9][a-z0-9._-]{0,127}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,7}}")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_PREFIX = re.compile(rf"(?:{_SEGMENT}/){{0,7}}(?:{_SEGMENT})?")


def blob(digest: Digest) -> str:
    """Layers and image configs, as sent."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def sha256_of_blob(key: str) -> str | None:
    """Return the hexadecimal digest that a blob's key ends with; None for other keys."""
    match = _BLOB.fullmatch(key)
    return match[1] if match else None


def manifest(digest: Digest) -> str:
    """Manifest bytes, as sent; their media type is the document's own ``mediaType``."""
    return f"manifests/{digest.algorithm}/{digest.hex}"


def record(kind: str, key: Digest) -> str:
    """``kind`` names what is remembered: builds, layers, paths, attributes, closures, ..."""
    return f"{kind}/{key.hex}"


def checked(key: str) -> str:
    """The last line of defence before a path or an object name: raises ValueError.

    No segment begins with a dot, so no key leads outside the store or into its staging area.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def is_key(text: str) -> bool:
    """What else lies in a directory, such as what NFS makes of open files, is none of ours."""
    return _KEY.fullmatch(text) is not None


def checked_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not the beginning of a key: {prefix!r}")
    return prefix

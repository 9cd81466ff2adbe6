"""Every key we write.  docs/storage-layout.md shows them as a tree.

Blobs and manifests are content-addressed; everything else is a record under the hash of a
canonical document, so that a key never means two things.
"""

from app.oci import Digest


def blob(digest: Digest) -> str:
    """Layers and image configs, as sent."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def manifest(digest: Digest) -> str:
    """Manifest bytes, as sent; their media type is the document's own ``mediaType``."""
    return f"manifests/{digest.algorithm}/{digest.hex}"


def record(kind: str, key: Digest) -> str:
    """``kind`` names what is remembered: builds, layers, paths, attributes, closures, ..."""
    return f"{kind}/{key.hex}"

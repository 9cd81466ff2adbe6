"""Errors for bytes that differ: of two packings of a path, or of one layer in two codecs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.builder.images.image import Layer
from app.errors import RegistryError


class BytesChanged(RegistryError):
    """A second packing differs from the first, which ``record`` describes."""

    def __init__(self, subject: str, record: str, remembered: Layer, found: Layer) -> None:
        cause = (
            "its compressed bytes"
            if remembered.diff_id == found.diff_id
            else "its content (was it built again, differently?)"
        )
        super().__init__(
            f"{subject} was {_short(remembered)} and is {_short(found)} now: {cause} changed;"
            f" to accept that, delete {record} from the storage"
        )


def in_all_codecs(layers: Sequence[Layer], subject: str, record: Callable[[], str]) -> Layer:
    """Return the layer with its blobs in all codecs; the first is that of the server's first codec.

    ``record`` returns the storage key of the first one's record.  Raises BytesChanged if another
    blob is of another tar.
    """
    first, *others = layers
    for other in others:
        if other.diff_id != first.diff_id:
            raise BytesChanged(subject, record(), first, other)
        return replace(first, zstd=other.descriptor)
    return first


def _short(layer: Layer) -> str:
    return f"sha256:{layer.descriptor.digest.hex[:12]}"

"""Image indexes, from the manifests of several architectures to the exact bytes that are hashed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from app.builder.images.contents.config import descriptor_document, platform
from app.builder.images.image import Child
from app.oci import Descriptor, MediaType, canonical_json

# containers/image takes an entry with this annotation rather than the gzip entry of its platform.
# Clients that do not know the annotation take the first entry.
_ZSTD = {"io.github.containers.compression.zstd": "true"}


@dataclass(frozen=True, slots=True)
class IndexDocuments:
    """An index, and the same as Docker's manifest list.

    ``docker_list`` is None if one of the images has no manifest for it.
    """

    index: bytes
    docker_list: bytes | None


def index_documents(children: Sequence[Child]) -> IndexDocuments:
    """Return the documents that list the children in their order.

    Clients take the first entry of their platform (image-spec, image-index.md): of a child with
    two codecs, gzip is first.
    """
    docker = [child.image.docker_manifest for child in children]
    return IndexDocuments(
        index=_index(MediaType.OCI_INDEX, chain.from_iterable(map(_entries, children))),
        docker_list=_index(MediaType.DOCKER_LIST, map(_entry, children, filter(None, docker)))
        if None not in docker
        else None,
    )


def _entries(child: Child) -> Iterator[Mapping[str, object]]:
    yield _entry(child, child.image.manifest)
    if child.image.zstd_manifest is not None:
        yield {**_entry(child, child.image.zstd_manifest), "annotations": _ZSTD}


def _entry(child: Child, manifest: Descriptor) -> Mapping[str, object]:
    return {**descriptor_document(manifest), "platform": platform(child.architecture)}


def _index(media_type: MediaType, entries: Iterable[Mapping[str, object]]) -> bytes:
    return canonical_json(
        {"schemaVersion": 2, "mediaType": media_type.value, "manifests": list(entries)}
    )

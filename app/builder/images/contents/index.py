"""Image indexes, from the manifests of several architectures to the exact bytes that are hashed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.builder.images.contents.config import descriptor_document, platform
from app.builder.images.image import Child
from app.oci import Descriptor, MediaType, canonical_json


@dataclass(frozen=True, slots=True)
class IndexDocuments:
    """``docker_list`` is Docker's manifest list, or None: a child has no manifest for it."""

    index: bytes
    docker_list: bytes | None


def index_documents(children: Sequence[Child]) -> IndexDocuments:
    """Return the documents that list the children in their order.

    Clients take the first entry of their platform (image-spec, image-index.md).
    """
    listed = [(child.architecture, child.image.docker_manifest) for child in children]
    docker = [(name, manifest) for name, manifest in listed if manifest is not None]
    return IndexDocuments(
        index=_index(
            MediaType.OCI_INDEX, ((child.architecture, child.image.manifest) for child in children)
        ),
        docker_list=_index(MediaType.DOCKER_LIST, docker) if len(docker) == len(listed) else None,
    )


def _index(media_type: MediaType, manifests: Iterable[tuple[str, Descriptor]]) -> bytes:
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type.value,
            "manifests": [
                {**descriptor_document(manifest), "platform": platform(architecture)}
                for architecture, manifest in manifests
            ],
        }
    )

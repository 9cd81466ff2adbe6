"""Choose between the documents of an image or an index, by what the client accepts; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from app.builder.images.image import Built, BuiltImage, BuiltIndex
from app.errors import ImageUnknown, NotAcceptable
from app.oci import Descriptor, MediaType

_DOCKER = frozenset({MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST})
_WILDCARDS = frozenset({"*/*", "application/*", "application/json"})


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen document.

    ``warning`` describes what the client does not get, "" if it gets everything.
    """

    document: Descriptor
    warning: str = ""


def choose(built: Built, accept: Iterable[str], own: str) -> Choice:
    """Return the document for a client; ``accept`` holds all Accept headers of the request.

    The order is ignored: Docker's is that of a Go map and changes between a HEAD and its GET,
    which have to agree on the digest.  A client that accepts no index gets the image for the
    architecture ``own``.  Raises NotAcceptable if no document has an accepted type, and
    ImageUnknown if the index has no image for that architecture.
    """
    accepted = _accepted_types(tuple(accept))
    if isinstance(built, BuiltImage):
        return Choice(_image(built, accepted))
    if accepted.takes(MediaType.OCI_INDEX):
        return Choice(built.index)
    if built.docker_list is not None and accepted.takes(MediaType.DOCKER_LIST):
        return Choice(built.docker_list)
    return Choice(_image(_own_image(built, own), accepted), _single(built, own))


def _image(image: BuiltImage, accepted: "_Accepted") -> Descriptor:
    return _or_refuse(image.docker_manifest) if accepted.only_docker else image.manifest


def _own_image(index: BuiltIndex, own: str) -> BuiltImage:
    for child in index.children:
        if child.architecture == own:
            return child.image
    reason = next((one.reason for one in index.left_out if one.architecture == own), "")
    others = " and ".join(child.architecture for child in index.children)
    raise ImageUnknown(
        f"no image for {own}, this server's own architecture, and the client accepts no image"
        f" index: {reason or 'it is not served'}; there is one for {others}",
        {"architecture": own, "architectures": [child.architecture for child in index.children]},
    )


def _single(index: BuiltIndex, own: str) -> str:
    """Return what a client without indexes does not get: "" if that is another codec only."""
    others = " and ".join(
        child.architecture for child in index.children if child.architecture != own
    )
    if not others and not index.left_out:
        return ""
    rest = f"; the image index has {others} too" if others else ""
    return f"this is the image for {own} only, because the client accepts no image index{rest}"


def _or_refuse(document: Descriptor | None) -> Descriptor:
    if document is None:
        raise NotAcceptable(
            "this registry's layers are zstd (NIXERY_CODEC=zstd), which Docker schema 2 has no"
            " type for, and nothing else is accepted: use a client that accepts OCI manifests"
            " (docker from 23.0, containerd, podman), or have its operator set NIXERY_CODEC=gzip"
        )
    return document


@dataclass(frozen=True, slots=True)
class _Accepted:
    """The known types of a request; ``refused`` are those with the quality zero.

    ``is_empty`` is whether the request accepts no type by name, known or not.
    """

    types: frozenset[str]
    refused: frozenset[str]
    is_empty: bool

    def takes(self, media_type: MediaType) -> bool:
        """Return whether the client accepts a type, also by a wildcard; without a header, all."""
        if media_type in self.types:
            return True
        anything = self.is_empty or not self.types.isdisjoint(_WILDCARDS)
        return anything and media_type not in self.refused

    @property
    def only_docker(self) -> bool:
        return not self.types.isdisjoint(_DOCKER) and self.types.isdisjoint(_OCI)


_OCI = frozenset({MediaType.OCI_MANIFEST, MediaType.OCI_INDEX, *_WILDCARDS})
_KNOWN = _OCI | _DOCKER
# Real clients send less than 600 characters.  A cache of longer texts would be one of any size.
_CACHED_LENGTH = 2048


def _accepted_types(accept: tuple[str, ...]) -> _Accepted:
    if sum(map(len, accept)) > _CACHED_LENGTH:
        return _parse(accept)
    return _parse_cached(accept)


def _parse(accept: tuple[str, ...]) -> _Accepted:
    entries = [_entry(entry) for header in accept for entry in header.split(",")]
    accepted = {name for name, is_accepted in entries if name and is_accepted}
    refused = {name for name, is_accepted in entries if not is_accepted}
    return _Accepted(_KNOWN & accepted, _KNOWN & refused, is_empty=not accepted)


_parse_cached = lru_cache(maxsize=256)(_parse)


def _entry(entry: str) -> tuple[str, bool]:
    """Return the entry's media type, and False if its quality is zero (RFC 9110, 12.5.1)."""
    media_type, *parameters = entry.split(";")
    zero = False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q" and value.strip() in {"0", "0.", "0.0", "0.00", "0.000"}:
            zero = True
    return media_type.strip().lower(), not zero

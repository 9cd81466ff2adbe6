"""Image configuration and manifests, from values to the exact bytes that are hashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.builder.images.contents.users import NONROOT_HOME, NONROOT_UID
from app.builder.images.image import Layer
from app.builder.nix.closure import StorePath
from app.oci import Descriptor, Digest, MediaType, canonical_json

# The name that users mount, copy or rename other certificates to.
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# What users add comes first.  All others have the same programs; in /usr/bin, Python finds the
# image's libraries (languages.py).
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
# Nix's own programs, and libraries as Nix builds them, look for their own variable first.  The C
# library of nixpkgs looks for time zones in its own store path, which has none, unless TZDIR is
# set (nixpkgs#65415), and until 25.05 for locales in its own archive (nixpkgs#347965).
ENVIRONMENT: Mapping[str, str] = {
    "LOCALE_ARCHIVE": "/usr/lib/locale/locale-archive",
    "NIX_SSL_CERT_FILE": _CA_BUNDLE,
    "PATH": _PATH,
    "SSL_CERT_FILE": _CA_BUNDLE,
    "TZDIR": "/usr/share/zoneinfo",
}
# image-spec, config.md: variants, of architectures that have more than one.
_VARIANTS = {"arm64": "v8"}
_NAMED = 3


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer, and its line in the history of the image.

    ``created_by``: the text that ``docker history`` shows for the layer.
    """

    layer: Layer
    created_by: str


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The values of an image's configuration (image-spec, config.md).

    ``architecture`` is Go's name for it.  ``created`` has a time zone.  ``layers`` are given from
    the bottom.  ``environment`` has variables beside those of every image, or in their place.
    ``user`` is that of a service, "" for the default.
    """

    architecture: str
    created: datetime
    command: tuple[str, ...]
    nonroot: bool
    labels: Mapping[str, str]
    layers: tuple[ImageLayer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


@dataclass(frozen=True, slots=True)
class ImageDocuments:
    """The documents of an image for one architecture, as the bytes that are stored.

    ``docker_manifest`` is schema 2, or None: that schema has no zstd layers.  ``zstd_manifest`` is
    a second manifest, if the layers are in gzip and in zstd.
    """

    config: bytes
    manifest: bytes
    docker_manifest: bytes | None
    zstd_manifest: bytes | None = None


def image_documents(image: ImageConfig) -> ImageDocuments:
    config = canonical_json(_config(image))
    layers = [item.layer.descriptor for item in image.layers]
    zstd = [item.layer.zstd for item in image.layers if item.layer.zstd is not None]
    docker = {MediaType.OCI_LAYER_GZIP: MediaType.DOCKER_LAYER_GZIP}
    return ImageDocuments(
        config=config,
        manifest=_manifest(MediaType.OCI_MANIFEST, MediaType.OCI_CONFIG, config, layers),
        docker_manifest=_manifest(
            MediaType.DOCKER_MANIFEST,
            MediaType.DOCKER_CONFIG,
            config,
            [Descriptor(docker[layer.media_type], layer.digest, layer.size) for layer in layers],
        )
        if all(layer.media_type in docker for layer in layers)
        else None,
        zstd_manifest=_manifest(MediaType.OCI_MANIFEST, MediaType.OCI_CONFIG, config, zstd)
        if zstd
        else None,
    )


def command(
    *,
    shells: Sequence[str],
    interactive: bool,
    services: Sequence[Sequence[str]],
    main_programs: Sequence[str | None],
) -> tuple[str, ...]:
    """Return a container's default command, by the rules of docs/contents.md.

    ``shells`` are those of the image, the preferred one first.  ``interactive`` is true if the name
    requests a shell.  ``services`` and ``main_programs`` are those of the packages in the name.
    """
    if interactive and shells:
        return (shells[0],)
    if len(services) == 1 and services[0]:
        return tuple(services[0])
    if "bash" in shells:
        return ("bash",)
    match main_programs:
        case [str(program)]:
            return (program,)
        case _:
            return ()


def describe_paths(paths: Sequence[StorePath]) -> str:
    names = ", ".join(path.name for path in paths[:_NAMED])
    more = len(paths) - _NAMED
    return f"nix: {names}" + (f" and {more} more" if more > 0 else "")


def _config(image: ImageConfig) -> dict[str, object]:
    created = image.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **platform(image.architecture),
        "created": created,
        "config": _execution(image),
        "rootfs": {
            "type": "layers",
            "diff_ids": [str(item.layer.diff_id) for item in image.layers],
        },
        "history": [{"created": created, "created_by": item.created_by} for item in image.layers],
    }


def platform(architecture: str) -> dict[str, object]:
    """Return the properties by which clients choose, the same in a config and in an index."""
    document: dict[str, object] = {"architecture": architecture, "os": "linux"}
    if architecture in _VARIANTS:
        document["variant"] = _VARIANTS[architecture]
    return document


def _execution(image: ImageConfig) -> dict[str, object]:
    environment = {**ENVIRONMENT, **image.environment}
    document: dict[str, object] = {"WorkingDir": "/"}
    if image.nonroot:
        document["User"] = str(NONROOT_UID)
        document["WorkingDir"] = NONROOT_HOME
        # Set here, since a user id that a platform chooses at random is not in /etc/passwd.
        environment["HOME"] = NONROOT_HOME
    elif image.user:
        document["User"] = image.user
    document["Env"] = sorted(f"{name}={value}" for name, value in environment.items())
    if image.command:
        document["Cmd"] = list(image.command)
    if image.labels:
        document["Labels"] = dict(image.labels)
    return document


def _manifest(
    media_type: MediaType,
    config_type: MediaType,
    config: bytes,
    layers: Sequence[Descriptor],
) -> bytes:
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type.value,
            "config": descriptor_document(Descriptor(config_type, Digest.of(config), len(config))),
            "layers": [descriptor_document(layer) for layer in layers],
        }
    )


def descriptor_document(descriptor: Descriptor) -> dict[str, object]:
    return {
        "mediaType": descriptor.media_type.value,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }

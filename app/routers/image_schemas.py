"""JSON documents about built images, with examples, for /docs and /openapi.json."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.reference import NAME_PATTERN, TAG_PATTERN

_DIGEST = "sha256:1f3cbe6cd2f9fd4a4f3b43a4c5f3a0f41a5ef2d5dd2ee5c6c55d4f1b7f6f2a10"
_GIT: JsonDict = {
    "name": "git",
    "version": "2.47.1",
    "licenses": ["GPL-2.0-only"],
    "description": "Distributed version control system",
    "homepage": "https://git-scm.com/",
}
_LAYER: JsonDict = {
    "digest": _DIGEST,
    "size": 31458278,
    "contents": "nix: git",
    "images": 3,
}
_PAGE = "/builds/0f4e5b6c7d8e"


class BuildRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"image": "shell/git:latest"}]})

    image: str = Field(
        max_length=255,
        json_schema_extra={"pattern": f"^{NAME_PATTERN}(?::{TAG_PATTERN})?$"},
        description="A name as in a pull, with or without a tag",
    )


class BuildStarted(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image": "shell/git:latest", "done": False, "page": _PAGE}]
        }
    )

    image: str
    done: bool = Field(description="The image is built: its first pull does not wait")
    page: str = Field(description="Path of the build's page, or of the image's if it is built")


class PackageVersion(BaseModel):
    name: str
    version: str = Field(description="Empty if it is not known")


class PackageDetails(PackageVersion):
    licenses: list[str] = Field(
        description="SPDX identifiers, or names of the package set; empty if not known"
    )
    description: str
    homepage: str


class LayerDetails(BaseModel):
    digest: str
    size: int = Field(description="Compressed bytes, as clients download them")
    contents: str = Field(description="What `docker history` shows")
    images: int = Field(description="How many of the `recent_images` have it, this one included")


class ArchitectureDetails(BaseModel):
    architecture: str
    digest: str = Field(description="Of the manifest")
    config_digest: str
    created: str
    size: int = Field(description="Compressed bytes of all layers")
    command: list[str]
    user: str = Field(description="Empty for root")
    environment: list[str]
    labels: dict[str, str]
    packages: list[PackageDetails]
    layers: list[LayerDetails] = Field(description="The lowest first")


class ImageDetails(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "git",
                    "tag": "latest",
                    "digest": _DIGEST,
                    "media_type": "application/vnd.oci.image.manifest.v1+json",
                    "recent_images": 12,
                    "architectures": [
                        {
                            "architecture": "amd64",
                            "digest": _DIGEST,
                            "config_digest": _DIGEST,
                            "created": "1970-01-01T00:00:01Z",
                            "size": 31458278,
                            "command": ["git"],
                            "user": "",
                            "environment": ["PATH=/usr/local/bin:/usr/bin"],
                            "labels": {"nixery.source": "nixpkgs"},
                            "packages": [_GIT],
                            "layers": [_LAYER],
                        }
                    ],
                }
            ]
        }
    )

    name: str
    tag: str
    digest: str = Field(description="Of the index if there is one, else of the manifest")
    media_type: str
    recent_images: int = Field(description="How many images were looked at for shared layers")
    architectures: list[ArchitectureDetails] = Field(min_length=1)


class PackageChange(BaseModel):
    name: str
    before: str = Field(description="The version; empty if it is new or not known")
    after: str = Field(description="The version; empty if it was removed or is not known")


class ImageDifference(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "git",
                    "before": "nixos-25.05",
                    "after": "latest",
                    "architecture": "amd64",
                    "packages": [{"name": "git", "before": "2.47.1", "after": "2.48.0"}],
                    "layers_shared": 17,
                    "layers_new": 3,
                    "size": 31458278,
                    "download_size": 8126464,
                }
            ]
        }
    )

    name: str
    before: str = Field(description="The tag that the client has")
    after: str = Field(description="The tag that it pulls")
    architecture: str
    packages: list[PackageChange] = Field(description="Those that differ, by name")
    layers_shared: int
    layers_new: int
    size: int = Field(description="Compressed bytes of all layers of `after`")
    download_size: int = Field(description="Compressed bytes of the layers that `before` lacks")

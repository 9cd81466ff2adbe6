"""Settings of layers and of packing."""

from enum import StrEnum

from pydantic import BaseModel, Field

from app.system.cpus import usable_cpus

# Docker accepts images of 125 layers: these, two of the image itself, and 60 of users.
LAYERS = 63
# Values of ``plan`` that are neither a URL nor a file.
SHIPPED = "shipped"
NO_PLAN = "none"


class CodecName(StrEnum):
    GZIP = "gzip"
    ZLIB = "zlib"
    ZSTD = "zstd"
    BOTH = "both"


class LayerSettings(BaseModel):
    layer_budget: int = Field(
        LAYERS,
        ge=1,
        le=LAYERS,
        description="Maximum number of package layers in an image; one more layer is the image's"
        " own. Clients accept some 125 layers, and users need room for 60.",
    )
    codec: CodecName = Field(
        CodecName.GZIP,
        description="gzip, which every client reads; zlib, which is gzip with a ninth fewer bytes,"
        " compressed at a seventeenth of the speed; zstd, for Docker from 23, containerd and Podman;"
        " or both: every name is an image index with gzip and zstd for each architecture.",
    )
    plan: str = Field(
        SHIPPED,
        description="URL or file with a layer plan (`nixery plan`) or with Nixery's popularity"
        " data, in place of the plans that come with the server; none: layers without a plan.",
    )
    workers: int = Field(
        default_factory=usable_cpus, ge=1, description="Threads that read, hash and compress."
    )

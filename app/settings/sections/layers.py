"""Settings of layers and of packing."""

from enum import StrEnum

from pydantic import BaseModel, Field

from app.system.cpus import usable_cpus


class CodecName(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"


class LayerSettings(BaseModel):
    layer_budget: int = Field(
        94,
        ge=1,
        le=120,
        description="Maximum number of package layers in an image; two more layers are the image's"
        " own.",
    )
    codec: CodecName = Field(
        CodecName.GZIP,
        description="gzip, which every client reads, or zstd, for Docker from 23, containerd and"
        " Podman.",
    )
    popularity: str | None = Field(
        None,
        description="URL or file with a layer plan (`nixery plan`) or with Nixery's popularity"
        " data.",
    )
    workers: int = Field(
        default_factory=usable_cpus, ge=1, description="Threads that read, hash and compress."
    )

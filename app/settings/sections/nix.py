"""Settings of Nix and of the queues in front of it."""

from pydantic import BaseModel, Field

from app.settings.sections.fields import Seconds
from app.system.cpus import usable_cpus


class NixSettings(BaseModel):
    build_cores: int = Field(
        default_factory=usable_cpus,
        ge=1,
        description="Cores that one build should use (Nix's `cores`); not enforced.",
    )
    build_jobs: int = Field(
        default_factory=usable_cpus,
        ge=1,
        description="Derivations that Nix builds at one time for one image.",
    )
    store_free: int = Field(
        1024,
        ge=0,
        description="MiB that must stay free on the disk of the Nix store. Builds and downloads are"
        " stopped when less is free; 0: no limit.",
    )
    store_size: int = Field(
        0,
        ge=0,
        description="MiB that all paths of the Nix store may have together. Builds and downloads"
        " into a larger store get 503 until its garbage is collected; 0: no limit.",
    )
    store_seconds: Seconds = Field(60, description="Time limit of one query to the Nix store.")
    stall_seconds: int = Field(
        15,
        ge=1,
        description="How long a binary cache may take to connect, or send nothing, before Nix stops"
        " the download.",
    )
    cache_streaming: bool = Field(
        default=True,
        description="Pack store paths while they are downloaded from http and https binary caches,"
        " without the Nix store. Off: Nix downloads them first.",
    )
    retries: int = Field(
        3,
        ge=0,
        le=10,
        description="How often a build is retried after a transient error of a binary cache or the"
        " Nix store. The first pause is one second; each is twice as long, up to a minute.",
    )
    retry_seconds: float = Field(
        60, ge=0, description="How long after the first attempt a retry may start."
    )
    evaluations: int = Field(2, ge=1, description="Evaluations at one time.")
    builds: int = Field(
        2, ge=1, description="Images whose packages Nix builds or downloads at one time."
    )
    packings: int = Field(4, ge=1, description="Images being packed at one time.")
    packing_seconds: Seconds = Field(
        900,
        description="Time limit for packing one image. Finished layers are kept: the next pull"
        " continues there.",
    )
    queue: int = Field(
        64,
        ge=0,
        description="Images that may wait at each step; further requests get 429 with Retry-After.",
    )
    client_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The part of each step's queue, running and waiting, that the images of one"
        " client address may take, rounded up; an IPv6 /64 is one address.",
    )

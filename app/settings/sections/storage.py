"""Settings of the state directory and of storage."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from app.builder.sources.definition import AbsolutePath
from app.settings.environment import process_environment


class StorageBackend(StrEnum):
    FILESYSTEM = "filesystem"
    MEMORY = "memory"
    GCS = "gcs"


@dataclass(frozen=True, slots=True)
class FilesystemBackend:
    path: Path


@dataclass(frozen=True, slots=True)
class MemoryBackend:
    pass


@dataclass(frozen=True, slots=True)
class GcsBackend:
    bucket: str
    spool_directory: Path


Backend = FilesystemBackend | MemoryBackend | GcsBackend


def _state_directory() -> Path:
    environment = process_environment()
    base = environment.get("STATE_DIRECTORY") or environment.get("XDG_STATE_HOME")
    return Path(base or Path.home() / ".local" / "state") / "nixery"


class StorageSettings(BaseModel):
    state_path: AbsolutePath = Field(
        default_factory=_state_directory,
        description="Local state of this process, such as fetched sources and the roots that"
        " protect store paths from collection while they are packed.",
    )
    storage: StorageBackend = Field(
        StorageBackend.FILESYSTEM, description="filesystem, memory or gcs."
    )
    storage_path: AbsolutePath = Field(
        default_factory=lambda validated: validated["state_path"] / "storage",
        description="Where the filesystem backend stores blobs, manifests and records.",
    )
    gcs_bucket: str | None = Field(
        None,
        description="The bucket of the gcs backend. GOOGLE_APPLICATION_CREDENTIALS can name a key"
        " file.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _ = self.backend
        return self

    @property
    def backend(self) -> Backend:
        """The backend with its parameters, from settings that are flat for the environment."""
        match self.storage:
            case StorageBackend.FILESYSTEM:
                return FilesystemBackend(self.storage_path)
            case StorageBackend.MEMORY:
                return MemoryBackend()
            case StorageBackend.GCS:
                if not self.gcs_bucket:
                    raise ValueError("NIXERY_STORAGE=gcs needs NIXERY_GCS_BUCKET")
                return GcsBackend(self.gcs_bucket, self.state_path / "spool")

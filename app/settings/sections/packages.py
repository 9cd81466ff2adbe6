"""Settings of package sources, and limits that a source may override."""

import platform
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from app.builder.sources.definition import (
    BUILD_SECONDS,
    EVALUATION_SECONDS,
    REVISION_SECONDS,
    AbsolutePath,
    ChannelDefinition,
    GitDefinition,
    PathDefinition,
    SourceDefinition,
)
from app.builder.sources.definitions import check_definitions
from app.request import ARCHITECTURES, SYSTEMS
from app.settings.expressions import EMBEDDED_PACKAGES
from app.settings.names import variables
from app.settings.sections.fields import Seconds


def _separated(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _machine_system() -> str:
    """Return the Nix system of this machine."""
    system = f"{platform.machine()}-linux"
    return system if system in SYSTEMS.values() else SYSTEMS["amd64"]


class PackageSettings(BaseModel):
    pkgs_path: AbsolutePath | None = Field(
        None, description="A local package set: a directory that Nix can import."
    )
    pkgs_repo: str | None = Field(
        None,
        description="A git repository with a package set. The tag selects a branch or commit.",
    )
    channel: str | None = Field(
        None,
        description="A nixpkgs channel, such as nixos-unstable. A tag can select another channel.",
    )
    sources: tuple[SourceDefinition, ...] = Field(
        (),
        description="Further sources, each with its own name; only in the file, see docs/sources.md.",
    )
    system: str = Field(
        default_factory=_machine_system,
        pattern=r"^(x86_64|aarch64)-linux$",
        description="The Nix system of images whose name has no architecture.",
    )
    architectures: Annotated[
        tuple[Literal["amd64", "arm64"], ...], NoDecode, BeforeValidator(_separated)
    ] = Field(
        (),
        description="Architectures of names that have none, such as amd64,arm64: with several, an"
        " image index has an image for each. Without a value, the architecture of `NIXERY_SYSTEM`.",
    )
    revision_seconds: float = Field(
        REVISION_SECONDS,
        ge=0,
        description="How long the revision of a channel or branch is cached; a source can override"
        " it.",
    )
    evaluation_seconds: Seconds = Field(
        EVALUATION_SECONDS,
        description="Time limit of the evaluation for one image; a source can override it.",
    )
    build_seconds: Seconds = Field(
        BUILD_SECONDS,
        description="Time limit of Nix builds and downloads for one image; a source can override it.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        settings = ("pkgs_path", "pkgs_repo", "channel")
        given = [variables(name)[0] for name in settings if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"only one of {', '.join(given)} can be set")
        return self

    @model_validator(mode="after")
    def _consistent_sources(self) -> Self:
        check_definitions(self.definitions)
        return self

    @model_validator(mode="after")
    def _served_system(self) -> Self:
        if "system" in self.model_fields_set and self.own_system != self.system:
            own = ARCHITECTURES[self.system]
            raise ValueError(f"NIXERY_ARCHITECTURES lacks {own}, the architecture of NIXERY_SYSTEM")
        return self

    @property
    def systems(self) -> tuple[str, ...]:
        """The Nix systems of names without an architecture, in the order of an index."""
        systems = (system for name, system in SYSTEMS.items() if name in self.architectures)
        return tuple(systems) or (self.system,)

    @property
    def own_system(self) -> str:
        """The Nix system for clients that do not choose one: this machine's, if it is served."""
        return self.system if self.system in self.systems else self.systems[0]

    @property
    def definitions(self) -> tuple[SourceDefinition, ...]:
        """All sources; one of them is the default."""
        own = self._own_source()
        sources = self.sources if own is None else (own, *self.sources)
        return tuple(map(self._with_limits, sources))

    def _with_limits(self, source: SourceDefinition) -> SourceDefinition:
        """Apply the settings' limits where the source has no own limit."""
        limits = {
            "build_seconds": self.build_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }
        if not isinstance(source, PathDefinition):  # hashing files again is cheap
            limits["revision_seconds"] = self.revision_seconds
        own = source.model_fields_set
        return source.model_copy(
            update={name: limit for name, limit in limits.items() if name not in own}
        )

    def _own_source(self) -> SourceDefinition | None:
        """Return the source of the variables, or the embedded set if no other source is the default."""
        if self.pkgs_path is not None:
            return PathDefinition(name="path", location=self.pkgs_path, default=True)
        if self.pkgs_repo is not None:
            return GitDefinition(name="git-source", location=self.pkgs_repo, default=True)
        if self.channel is not None:
            return ChannelDefinition(name="nixpkgs", channel=self.channel, default=True)
        if any(definition.default for definition in self.sources):
            return None
        # Binary caches do not have the embedded packages; a query takes seconds without a network.
        return PathDefinition(
            name="debian", location=EMBEDDED_PACKAGES, substituters=(), default=True
        )

"""Configuration, typed, read once.

Every setting is an environment variable and, by its field's name, a line of the TOML file
that NIXERY_CONFIG names; the environment wins.  Nixery's own variable names keep working.
Package sources with names of their own can only be written in the file (docs/sources.md).
"""

import os
import platform
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.access.proxies import Network, ProxyHeader, networks
from app.builder.sources.definition import (
    ChannelDefinition,
    GitDefinition,
    PathDefinition,
    SourceDefinition,
)
from app.errors import OperatorError
from app.settings.expressions import EMBEDDED_PACKAGES
from app.settings.service_links import without_service_links
from app.system.cpus import usable_cpus
from app.telemetry.log import LogFormat

CONFIG_VARIABLE = "NIXERY_CONFIG"

_SYSTEMS = {"x86_64": "x86_64-linux", "amd64": "x86_64-linux", "aarch64": "aarch64-linux"}


def surroundings() -> dict[str, str]:
    """The process's whole environment, for the programs it starts to inherit a part of."""
    return dict(os.environ)


class SettingsError(OperatorError):
    """What is wrong with the configuration, one line a mistake, for the operator."""


class StorageBackend(StrEnum):
    FILESYSTEM = "filesystem"
    MEMORY = "memory"
    GCS = "gcs"


class CodecName(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"


def _state_directory() -> Path:
    base = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    return Path(base or Path.home() / ".local" / "state") / "nixery"


Seconds = Annotated[float, Field(gt=0)]
AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise ValueError(f"there is no directory {directory}")
    return directory


def _networks(value: object) -> object:
    return networks(value) if isinstance(value, str) else value


class Settings(BaseSettings):
    # The prefix keeps a field's bare name, such as HOST, from being read as a variable.
    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        env_prefix="NIXERY_",
        allow_inf_nan=False,
    )

    # -- serving
    host: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("NIXERY_HOST"),
        description="Address to listen on; whoever reaches it can start builds.",
    )
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("NIXERY_PORT", "PORT"),
        description="Port to listen on; 0 picks a free one and logs it.",
    )
    external_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+)?$",
        max_length=120,  # a message has 300 characters, and more to say
        validation_alias=AliasChoices("NIXERY_EXTERNAL_URL"),
        description="How users reach this server (scheme and host, up to 120 characters), for links in messages.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        networks("127.0.0.0/8,::1"),
        validation_alias=AliasChoices("NIXERY_TRUSTED_PROXIES"),
        description="Addresses and networks of proxies that are believed what they say of their"
        " clients (address and scheme), separated by commas.",
    )
    proxy_header: ProxyHeader = Field(
        ProxyHeader.X_FORWARDED_FOR,
        validation_alias=AliasChoices("NIXERY_PROXY_HEADER"),
        description="The header in which trusted proxies name their clients: x-forwarded-for or"
        " forwarded.",
    )
    web_dir: Annotated[AbsolutePath, AfterValidator(_existing)] | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_WEB_DIR", "WEB_DIR"),
        description="A directory of static pages to serve at /.",
    )
    catalog: bool = Field(
        default=False,
        validation_alias=AliasChoices("NIXERY_CATALOG"),
        description="Answer GET /v2/_catalog with the names of the images built so far.",
    )
    explain_not_found: bool = Field(
        default=True,
        validation_alias=AliasChoices("NIXERY_EXPLAIN_NOT_FOUND"),
        description="Send 403 for unknown packages and tags to clients that hide the message of a 404.",
    )

    # -- packages
    pkgs_path: AbsolutePath | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_PKGS_PATH"),
        description="A local package set: a directory that Nix can import.",
    )
    pkgs_repo: str | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_PKGS_REPO"),
        description="A git repository with a package set; the tag chooses branch or commit.",
    )
    channel: str | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_CHANNEL"),
        description="A nixpkgs channel, such as nixos-unstable; the tag may name another.",
    )
    sources: tuple[SourceDefinition, ...] = Field(
        (),
        validation_alias=AliasChoices("NIXERY_SOURCES"),
        description="Further sources with names of their own; written in the file, see docs/sources.md.",
    )
    system: str = Field(
        default_factory=lambda: _SYSTEMS.get(platform.machine(), "x86_64-linux"),
        pattern=r"^(x86_64|aarch64)-linux$",
        validation_alias=AliasChoices("NIXERY_SYSTEM"),
        description="The Nix system of images that name no architecture.",
    )
    revision_seconds: float = Field(
        600,
        ge=0,
        validation_alias=AliasChoices("NIXERY_REVISION_SECONDS"),
        description="How long a channel or branch is taken to stand still, where its source does not say.",
    )

    # -- Nix
    build_seconds: Seconds = Field(
        3600,
        validation_alias=AliasChoices("NIXERY_BUILD_SECONDS", "NIX_TIMEOUT"),
        description="The longest Nix may build or download for one image, where its source does not say.",
    )
    build_cores: int = Field(
        default_factory=usable_cpus,
        ge=1,
        validation_alias=AliasChoices("NIXERY_BUILD_CORES"),
        description="Cores that one build is told to use; well-behaved builds keep to it.",
    )
    build_jobs: int = Field(
        default_factory=usable_cpus,
        ge=1,
        validation_alias=AliasChoices("NIXERY_BUILD_JOBS"),
        description="Derivations that Nix builds at one time for one image.",
    )
    store_free: int = Field(
        1024,
        ge=0,
        validation_alias=AliasChoices("NIXERY_STORE_FREE"),
        description="MiB that builds and downloads leave free on the disk of the Nix store; what runs when less is free is stopped; 0: no limit.",
    )
    store_seconds: Seconds = Field(
        60,
        validation_alias=AliasChoices("NIXERY_STORE_SECONDS"),
        description="The longest Nix may take for a question to its store.",
    )
    stall_seconds: int = Field(
        15,
        ge=1,
        validation_alias=AliasChoices("NIXERY_STALL_SECONDS"),
        description="How long a binary cache may take to connect, or send nothing, before Nix gives the download up.",
    )
    retries: int = Field(
        3,
        ge=0,
        le=10,
        validation_alias=AliasChoices("NIXERY_RETRIES"),
        description="How often a build tries again after a transient fault of a binary cache or the Nix store, with pauses from one second on.",
    )
    retry_seconds: float = Field(
        60,
        ge=0,
        validation_alias=AliasChoices("NIXERY_RETRY_SECONDS"),
        description="How long after the first attempt another may start.",
    )
    evaluation_seconds: Seconds = Field(
        120,
        validation_alias=AliasChoices("NIXERY_EVALUATION_SECONDS"),
        description="The longest Nix may evaluate for one image, where its source does not say.",
    )
    evaluations: int = Field(
        2,
        ge=1,
        validation_alias=AliasChoices("NIXERY_EVALUATIONS"),
        description="Evaluations at one time.",
    )
    realisations: int = Field(
        2,
        ge=1,
        validation_alias=AliasChoices("NIXERY_REALISATIONS"),
        description="Images whose packages Nix builds or downloads at one time.",
    )
    packings: int = Field(
        4,
        ge=1,
        validation_alias=AliasChoices("NIXERY_PACKINGS"),
        description="Images being packed at one time.",
    )
    packing_seconds: Seconds = Field(
        900,
        validation_alias=AliasChoices("NIXERY_PACKING_SECONDS"),
        description="The longest one image may take to be packed; asked for again, it goes on where it stopped.",
    )
    queue: int = Field(
        64,
        ge=0,
        validation_alias=AliasChoices("NIXERY_QUEUE"),
        description="Images that may wait at each step; more are told to come back.",
    )

    client_share: float = Field(
        0.5,
        gt=0,
        le=1,
        validation_alias=AliasChoices("NIXERY_CLIENT_SHARE"),
        description="The part of each step's queue, running and waiting, that the images of one"
        " client address may take, rounded up; an IPv6 /64 is one address.",
    )

    # -- layers
    layer_budget: int = Field(
        94,
        ge=1,
        le=120,
        validation_alias=AliasChoices("NIXERY_LAYER_BUDGET"),
        description="The most layers of packages in an image; two more are the image's own.",
    )
    codec: CodecName = Field(
        CodecName.GZIP,
        validation_alias=AliasChoices("NIXERY_CODEC"),
        description="gzip, which every client reads, or zstd, for Docker from 23, containerd and Podman.",
    )
    popularity: str | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_POPULARITY", "NIX_POPULARITY_URL"),
        description="URL or file of a layer plan or of Nixery's popularity data.",
    )
    workers: int = Field(
        default_factory=usable_cpus,
        ge=1,
        validation_alias=AliasChoices("NIXERY_WORKERS"),
        description="Threads that read, hash and compress.",
    )

    # -- storage
    state_path: AbsolutePath = Field(
        default_factory=_state_directory,
        validation_alias=AliasChoices("NIXERY_STATE_PATH"),
        description="Scratch state of this process: roots that hold paths while they are packed.",
    )
    storage: StorageBackend = Field(
        StorageBackend.FILESYSTEM,
        validation_alias=AliasChoices("NIXERY_STORAGE", "NIXERY_STORAGE_BACKEND"),
        description="filesystem, memory or gcs.",
    )
    storage_path: AbsolutePath = Field(
        default_factory=lambda validated: validated["state_path"] / "storage",
        validation_alias=AliasChoices("NIXERY_STORAGE_PATH", "STORAGE_PATH"),
        description="Where the filesystem backend keeps blobs, manifests and records.",
    )
    gcs_bucket: str | None = Field(
        None,
        validation_alias=AliasChoices("NIXERY_GCS_BUCKET", "GCS_BUCKET"),
        description="The bucket of the gcs backend; GOOGLE_APPLICATION_CREDENTIALS may name a key.",
    )

    # -- waiting, see docs/wire.md
    hop_seconds: float = Field(
        20,
        gt=0,
        lt=30,
        validation_alias=AliasChoices("NIXERY_HOP_SECONDS"),
        description="How long a request waits for a build before it is sent to itself again; below the 30 s after which containerd gives up.",
    )
    hops: int = Field(
        9,
        ge=0,
        le=9,
        validation_alias=AliasChoices("NIXERY_HOPS"),
        description="How often, at most; Go's clients follow ten redirects.",
    )
    hold_seconds: float = Field(
        900,
        gt=0,
        le=7200,
        validation_alias=AliasChoices("NIXERY_HOLD_SECONDS"),
        description="How long the last request is held for clients that can wait.",
    )
    failure_seconds: float = Field(
        60,
        ge=0,
        validation_alias=AliasChoices("NIXERY_FAILURE_SECONDS"),
        description="How long a failed build is the answer to whoever asks again; what may pass is"
        " for 10 seconds at most.",
    )
    drain_seconds: float = Field(
        30,
        ge=0,
        validation_alias=AliasChoices("NIXERY_DRAIN_SECONDS"),
        description="How long a stopping server lets running builds finish.",
    )

    # -- logging
    log_level: str = Field(
        "INFO",
        pattern="^(TRACE|DEBUG|INFO|WARNING|ERROR)$",
        validation_alias=AliasChoices("NIXERY_LOG_LEVEL"),
        description="TRACE, DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: LogFormat = Field(
        LogFormat.AUTO,
        validation_alias=AliasChoices("NIXERY_LOG_FORMAT"),
        description="human, json, or auto: human on a terminal.",
    )

    @classmethod
    def settings_customise_sources(  # the signature is pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = without_service_links(env_settings.env_vars)
        file = os.environ.get(CONFIG_VARIABLE)
        if not file:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file))

    @model_validator(mode="after")
    def _bucket(self) -> "Settings":
        if self.storage is StorageBackend.GCS and not self.gcs_bucket:
            raise ValueError("the gcs storage needs GCS_BUCKET")
        return self

    @model_validator(mode="after")
    def _distinct_sources(self) -> "Settings":
        names = [definition.name for definition in self.definitions]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are called {name}")
        if sum(definition.default for definition in self.definitions) > 1:
            raise ValueError("only one source can be the default")
        return self

    @model_validator(mode="after")
    def _known_bases(self) -> "Settings":
        names = [definition.name for definition in self.definitions]
        for definition in self.definitions:
            if definition.base and definition.base not in names:
                raise ValueError(
                    f"the base of source {definition.name} is {definition.base}, and no source"
                    f" is called so; there is {', '.join(names)}"
                )
        return self

    @model_validator(mode="after")
    def _known_search_paths(self) -> "Settings":
        kinds = {definition.name: definition.kind for definition in self.definitions}
        for definition in self.definitions:
            for name, (source, _) in definition.searched.items():
                if kinds.get(source, "flake") == "flake":
                    reason = "is a flake" if source in kinds else "does not exist"
                    raise ValueError(
                        f"<{name}> of source {definition.name} is to be source {source}, which"
                        f" {reason}"
                    )
        return self

    @property
    def definitions(self) -> tuple[SourceDefinition, ...]:
        """All sources; one of them is the default."""
        own = self._own_source()
        sources = tuple(map(self._with_limits, self.sources))
        return sources if own is None else (own, *sources)

    def _with_limits(self, source: SourceDefinition) -> SourceDefinition:
        """What the file does not say of a source is what the settings say of all."""
        said = source.model_fields_set
        limits = {name: limit for name, limit in self._limits(source).items() if name not in said}
        return source.model_copy(update=limits)

    def _limits(self, source: SourceDefinition) -> dict[str, float]:
        limits = {
            "build_seconds": self.build_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }
        if isinstance(source, PathDefinition):  # looking at files costs little
            return limits
        return {**limits, "revision_seconds": self.revision_seconds}

    def _own_source(self) -> SourceDefinition | None:
        """What the variables name, or the embedded set where there is no other default."""
        own: SourceDefinition
        if self.pkgs_path is not None:
            own = PathDefinition(name="path", location=self.pkgs_path, default=True)
        elif self.pkgs_repo is not None:
            own = GitDefinition(name="git-source", location=self.pkgs_repo, default=True)
        elif self.channel is not None:
            own = ChannelDefinition(name="nixpkgs", channel=self.channel, default=True)
        elif any(definition.default for definition in self.sources):
            return None
        else:
            # No binary cache has the embedded packages; asking takes seconds without a network.
            own = PathDefinition(
                name="debian", location=EMBEDDED_PACKAGES, substituters=(), default=True
            )
        return self._with_limits(own)

    @model_validator(mode="after")
    def _one_source(self) -> "Settings":
        own = {
            "NIXERY_PKGS_PATH": self.pkgs_path,
            "NIXERY_PKGS_REPO": self.pkgs_repo,
            "NIXERY_CHANNEL": self.channel,
        }
        named = [name for name, value in own.items() if value is not None]
        if len(named) > 1:
            raise ValueError(f"only one of {', '.join(named)} can be set")
        return self


def variables(field: str) -> tuple[str, ...]:
    """The environment variables of a setting; the first is the one to recommend."""
    alias = Settings.model_fields[field].validation_alias
    assert isinstance(alias, AliasChoices), field
    return tuple(str(choice) for choice in alias.choices)


def load() -> Settings:
    """Read environment and file; raises SettingsError with a line for each mistake."""
    known = {CONFIG_VARIABLE, *(name for f in Settings.model_fields for name in variables(f))}
    # pydantic-settings does not look at variables no field asks for, so a typing error in a
    # name would silently leave the default in force.
    ours = [name for name in without_service_links(os.environ) if name.startswith("NIXERY_")]
    unknown = sorted(set(ours) - known)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")
    file = os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE}: there is no file {file}")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_mistake(item) for item in error.errors())) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from None


def _mistake(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    field = next((f for f in Settings.model_fields if where in (f, *variables(f))), None)
    name = variables(field)[0] if field else where
    return f"{name}: {error['msg']}" if name else error["msg"].removeprefix("Value error, ")

"""What an operator may write about a package source (docs/sources.md), checked by pydantic."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.reference import TAG_PATTERN, Tag
from app.request import META_PACKAGES

LATEST = "latest"
REVISION_SECONDS = 600.0
EVALUATION_SECONDS = 120.0
BUILD_SECONDS = 3600.0
_MIB = 1024 * 1024
_TAG = re.compile(TAG_PATTERN)
_WILD = re.compile(r"[*?[]")  # what fnmatch takes for more than itself
_USERINFO = re.compile(r"://[^/@]*:[^/@]*@|^https?://[^/@]*@")


def _no_credentials(location: str) -> str:
    if _USERINFO.search(location):
        raise ValueError("a location holds no user name or password; see token_file and ssh_key")
    return location


def _not_meta(name: str) -> str:
    if name in META_PACKAGES:
        raise ValueError(f"{name} is a meta package; call the source something else")
    return name


Names = bool | tuple[str, ...]
AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
GitLocation = Annotated[str, Field(min_length=1), AfterValidator(_no_credentials)]


_OURS = frozenset({"nix", "nixery"})  # names that are looked up elsewhere


def _free(name: str) -> str:
    if name in _OURS:
        raise ValueError(f"<{name}> cannot be given another meaning")
    return name


def _inside(directory: str) -> str:
    parts = directory.split("/")
    if directory and ("" in parts or "." in parts or ".." in parts):
        raise ValueError("a directory is relative to the repository and stays in it")
    return directory


SearchName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]+$"), AfterValidator(_free)]
SearchTarget = Annotated[str, Field(pattern=rf"^[a-z0-9._-]+(:{TAG_PATTERN})?$")]
# One that is not ASCII, or has a quote, could not be named in a flake reference.
Directory = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+/-]*$"), AfterValidator(_inside)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Frozen):
    """Each is false, true, or the pnames of the packages that are allowed."""

    allow_unfree: Names = False
    allow_insecure: Names = False
    allow_broken: Names = False


class Definition(_Frozen):
    """What all kinds have in common."""

    kind: str
    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=64),
        AfterValidator(_not_meta),
    ] = Field(description="The first path component that chooses this source.")
    default: bool = Field(default=False, description="Used by names that choose no source.")
    refs: tuple[str, ...] = Field(
        ("*",),
        description="Patterns; a tag that matches none of them names nothing here, be it a"
        " branch, a tag or a commit. `latest` always does.",
    )
    revision_seconds: float = Field(
        REVISION_SECONDS, ge=0, description="How long a moving tag is taken to stand still."
    )
    evaluation_seconds: float = Field(
        EVALUATION_SECONDS, gt=0, description="The longest one evaluation may run."
    )
    evaluation_memory: int = Field(
        4096, ge=128, description="The most memory an evaluation may use, in MiB."
    )
    build_seconds: float = Field(
        BUILD_SECONDS, gt=0, description="The longest builds of an image may run."
    )
    build: bool = Field(
        default=True, description="false: only what a binary cache has, nothing is built."
    )
    substituters: tuple[str, ...] | None = Field(
        None, description="Binary caches; unset: Nix's own configuration, empty: none."
    )
    trusted: bool = Field(
        default=True,
        description="false: evaluation reads nothing but the source itself; not for flakes.",
    )
    build_unsandboxed: bool = Field(
        default=False,
        description="true: an untrusted source may build although Nix's sandbox is off.",
    )
    policy: Policy = Policy()
    search_path: dict[SearchName, SearchTarget] = Field(
        default_factory=dict,
        description="What `<name>` stands for in its files: `source`, or `source:tag`.",
    )
    base: str | None = Field(
        None,
        description="The source of `cacert` and `iana-etc`, and of what `shell` lacks; unset: this"
        " source itself where it has them, else the default source. Empty: none.",
    )

    @property
    def needs_sandbox(self) -> bool:
        """Whether what it builds has to be kept from this machine's files."""
        return self.build and not self.trusted and not self.build_unsandboxed

    @property
    def searched(self) -> dict[str, tuple[str, str]]:
        """The source and the tag that each name of the search path stands for."""
        split = {name: target.partition(":") for name, target in self.search_path.items()}
        return {name: (source, tag or LATEST) for name, (source, _, tag) in split.items()}

    @property
    def evaluation_bytes(self) -> int:
        return self.evaluation_memory * _MIB

    def allows(self, tag: str) -> bool:
        return tag == LATEST or any(fnmatchcase(tag, pattern) for pattern in self.refs)

    def taggable(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that an image may be asked for by, in their order, each once."""
        return tuple(
            name
            for name in dict.fromkeys(names)
            if _TAG.fullmatch(name) and not Tag(name).reserved and self.allows(name)
        )

    @property
    def pins(self) -> tuple[str, ...]:
        """The patterns that stand for one tag alone."""
        return self.taggable(ref for ref in self.refs if not _WILD.search(ref))

    @property
    def contents(self) -> dict[str, object]:
        """Where a revision's files are: the same revision of other contents is another one.

        A channel's commit is only as good as the host that publishes it, and a directory's
        expressions can see where they are.
        """
        return self.model_dump(
            mode="json", include={"kind", "location", "archive", "reads", "username", "directory"}
        )

    @property
    def place(self) -> dict[str, object]:
        """Where the source's tags are looked up."""
        return self.contents | self.model_dump(mode="json", include={"default_ref", "channel"})


class PathDefinition(Definition):
    """A directory (or file) on this machine that Nix can import."""

    kind: Literal["path"] = "path"
    location: AbsolutePath
    reads: tuple[AbsolutePath, ...] = Field(
        (), description="Further files or directories that the package set reads."
    )
    revision_seconds: float = Field(
        5, ge=0, description="How long the files are taken to be unchanged."
    )


class _Git(Definition):
    location: GitLocation = Field(description="URL or path, as git clone takes it.")
    directory: Directory = Field("", description="The directory of the package set in it.")
    default_ref: str = Field("HEAD", description="The branch or tag that `latest` means.")
    token_file: AbsolutePath | None = Field(None, description="A password or token for https.")
    username: str = Field("git", description="The user name sent with the token.")
    ssh_key: AbsolutePath | None = Field(None, description="A private key for ssh.")
    known_hosts: AbsolutePath | None = Field(None, description="The host keys ssh accepts.")


class GitDefinition(_Git):
    """A git repository; its default.nix is imported."""

    kind: Literal["git"] = "git"


class FlakeDefinition(_Git):
    """A git repository with a flake; legacyPackages and packages are looked into."""

    kind: Literal["flake"] = "flake"

    @model_validator(mode="after")
    def _trust(self) -> "FlakeDefinition":
        # Nix fetches a flake's inputs by paths and addresses, whatever its restriction says.
        if not self.trusted:
            raise ValueError(
                "a flake cannot be kept from this machine's files: trust it (trusted = true),"
                ' or serve its repository as kind = "git"'
            )
        if self.search_path:
            raise ValueError("a flake names its inputs itself and has no search path")
        return self


class ChannelDefinition(Definition):
    """A channel host as NixOS runs one, and the archive of the commits it publishes."""

    kind: Literal["channel"] = "channel"
    location: GitLocation = "https://channels.nixos.org"
    channel: str = Field("nixos-unstable", description="The channel that `latest` means.")
    archive: GitLocation = Field(
        "https://github.com/NixOS/nixpkgs/archive/{commit}.tar.gz",
        description="Where the source of a commit is found.",
    )

    @model_validator(mode="after")
    def _commit(self) -> "ChannelDefinition":
        if "{commit}" not in self.archive:
            raise ValueError("archive must contain {commit}")
        return self


SourceDefinition = Annotated[
    PathDefinition | GitDefinition | FlakeDefinition | ChannelDefinition,
    Field(discriminator="kind"),
]

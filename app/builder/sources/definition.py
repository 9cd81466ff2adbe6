"""The configuration of a package source (docs/sources.md)."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.reference import LATEST, TAG, TAG_PATTERN, Tag
from app.request import META_PACKAGES
from app.system.web_address import is_web_address
from app.text.size import MIB

REVISION_SECONDS = 600.0
EVALUATION_SECONDS = 120.0
BUILD_SECONDS = 3600.0
_WILD = re.compile(r"[*?[]")  # the special characters of fnmatch
_OURS = frozenset({"nix", "nixery"})  # names that Nix or this server defines
_USERINFO = re.compile(r"://[^/@]*:[^/@]*@|^https?://[^/@]*@")


def _no_credentials(location: str) -> str:
    if _USERINFO.search(location):
        raise ValueError(
            "a location must not contain a user name or password; use token_file or ssh_key"
        )
    return location


def _not_meta(name: str) -> str:
    if name in META_PACKAGES:
        raise ValueError(f"{name} is a meta package; choose another name for the source")
    return name


def _free(name: str) -> str:
    if name in _OURS:
        raise ValueError(f"<{name}> is reserved; choose another name")
    return name


def _readable(address: str) -> str:
    try:
        urlsplit(address)
    except ValueError:
        raise ValueError("the address is invalid") from None
    return address


def _on_the_web(address: str) -> str:
    if not is_web_address(address):
        raise ValueError("the address must be an http or https URL with a valid host")
    return address


def _inside(directory: str) -> str:
    parts = directory.split("/")
    if directory and ("" in parts or "." in parts or ".." in parts):
        raise ValueError("the directory must be a path inside the repository, without . and ..")
    return directory


Names = bool | tuple[str, ...]
AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
GitLocation = Annotated[
    str, Field(min_length=1), AfterValidator(_no_credentials), AfterValidator(_readable)
]
WebLocation = Annotated[GitLocation, AfterValidator(_on_the_web)]
SearchName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]+$"), AfterValidator(_free)]
SearchTarget = Annotated[str, Field(pattern=rf"^[a-z0-9._-]+(:{TAG_PATTERN})?$")]
# One word of nix.conf, where # starts a comment.
StoreAddress = Annotated[str, Field(pattern=r"^[^\s#]+$")]
# A flake reference cannot contain quotes or characters beyond ASCII.
Directory = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+/-]*$"), AfterValidator(_inside)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Frozen):
    """Each rule is false (none), true (all), or the ``pname`` of each allowed package."""

    allow_unfree: Names = False
    allow_insecure: Names = False
    allow_broken: Names = False


class Definition(_Frozen):
    """The keys of every kind of source."""

    kind: str
    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=64),
        AfterValidator(_not_meta),
    ] = Field(description="The first path component of image names that selects this source.")
    default: bool = Field(default=False, description="Used by image names without a source.")
    refs: tuple[str, ...] = Field(
        ("*",),
        description="Patterns of tags. Other branches, tags and commits are not served; `latest`"
        " always is.",
    )
    revision_seconds: float = Field(
        REVISION_SECONDS, ge=0, description="How long the revision of a moving tag is cached."
    )
    evaluation_seconds: float = Field(
        EVALUATION_SECONDS, gt=0, description="Time limit of one evaluation."
    )
    evaluation_memory: int = Field(
        4096, ge=128, description="Memory limit of an evaluation, in MiB."
    )
    build_seconds: float = Field(
        BUILD_SECONDS, gt=0, description="Time limit of the builds for an image."
    )
    build: bool = Field(
        default=True, description="false: only packages of a binary cache; nothing is built."
    )
    substituters: tuple[StoreAddress, ...] | None = Field(
        None, description="Binary caches; unset: Nix's own configuration, empty: none."
    )
    trusted: bool = Field(
        default=True,
        description="false: evaluation can read only the source itself; not for flakes.",
    )
    build_unsandboxed: bool = Field(
        default=False,
        description="true: an untrusted source may build without Nix's sandbox.",
    )
    policy: Policy = Policy()
    search_path: dict[SearchName, SearchTarget] = Field(
        default_factory=dict,
        description="The meaning of `<name>` in its files: `source`, or `source:tag`.",
    )
    base: str | None = Field(
        None,
        description="The source of `cacert`, `iana-etc` and missing parts of `shell`; unset: this"
        " source if it has them, else the default source. Empty: none.",
    )

    @property
    def needs_sandbox(self) -> bool:
        """Whether its builds must not read this machine's files."""
        return self.build and not self.trusted and not self.build_unsandboxed

    @property
    def searched(self) -> dict[str, tuple[str, str]]:
        """The source and the tag of each name in the search path."""
        split = {name: target.partition(":") for name, target in self.search_path.items()}
        return {name: (source, tag or LATEST) for name, (source, _, tag) in split.items()}

    @property
    def evaluation_bytes(self) -> int:
        return self.evaluation_memory * MIB

    def allows(self, tag: str) -> bool:
        return tag == LATEST or any(fnmatchcase(tag, pattern) for pattern in self.refs)

    def taggable(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names that can be an image's tag, in their order, without repetitions."""
        return tuple(
            name
            for name in dict.fromkeys(names)
            if TAG.fullmatch(name) and not Tag(name).reserved and self.allows(name)
        )

    @property
    def pins(self) -> tuple[str, ...]:
        """The patterns without wildcards: each matches one tag."""
        return self.taggable(ref for ref in self.refs if not _WILD.search(ref))

    @property
    def contents(self) -> dict[str, object]:
        """Where a revision's files come from; part of the keys of all results.

        Two hosts may publish different files under one commit, and expressions can depend on the
        path of their directory.
        """
        return self.model_dump(
            mode="json", include={"kind", "location", "archive", "reads", "username", "directory"}
        )

    def published_at(self, commit: str) -> str | None:
        """Return the web address of the files, if there is one; it has no credentials."""
        address = str(getattr(self, "archive", getattr(self, "location", "")))
        return address.replace("{commit}", commit) if address.startswith("https://") else None

    @property
    def place(self) -> dict[str, object]:
        """Where the source's tags are resolved."""
        return self.contents | self.model_dump(mode="json", include={"default_ref", "channel"})


class PathDefinition(Definition):
    """A directory or file on this machine that Nix can import."""

    kind: Literal["path"] = "path"
    location: AbsolutePath
    reads: tuple[AbsolutePath, ...] = Field(
        (), description="Further files or directories that the package set reads."
    )
    revision_seconds: float = Field(
        5, ge=0, description="How long the hash of the files is cached."
    )


class _Git(Definition):
    location: GitLocation = Field(description="URL or path, as git clone takes it.")
    directory: Directory = Field(
        "", description="The directory of the package set in the repository."
    )
    default_ref: str = Field("HEAD", description="The branch or tag that `latest` means.")
    token_file: AbsolutePath | None = Field(None, description="A password or token for https.")
    username: str = Field("git", description="The user name sent with the token.")
    ssh_key: AbsolutePath | None = Field(None, description="A private key for ssh.")
    known_hosts: AbsolutePath | None = Field(None, description="The host keys ssh accepts.")


class GitDefinition(_Git):
    """A git repository; Nix imports its default.nix."""

    kind: Literal["git"] = "git"


class FlakeDefinition(_Git):
    """A git repository with a flake, for its legacyPackages and packages."""

    kind: Literal["flake"] = "flake"

    @model_validator(mode="after")
    def _trust(self) -> "FlakeDefinition":
        # Nix fetches a flake's inputs by path and URL even in restricted evaluation.
        if not self.trusted:
            raise ValueError(
                "evaluation of a flake can read this machine's files: trust it (trusted = true),"
                ' or serve its repository as kind = "git"'
            )
        if self.search_path:
            raise ValueError("a flake has inputs of its own; remove search_path")
        return self


class ChannelDefinition(Definition):
    """A host of channels like that of NixOS, and the archives of its commits."""

    kind: Literal["channel"] = "channel"
    location: WebLocation = "https://channels.nixos.org"
    channel: str = Field("nixos-unstable", description="The channel that `latest` means.")
    archive: WebLocation = Field(
        "https://github.com/NixOS/nixpkgs/archive/{commit}.tar.gz",
        description="The URL of a commit's archive.",
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

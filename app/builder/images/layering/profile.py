"""The layer profile: statistics of a package set that decide the layers of an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from app.builder.images.layering.names import unversioned
from app.oci import Digest, canonical_json
from app.text.sanitize import one_line

FORMAT = "nixery-plan-1"
_SHOWN = 200  # characters of a place in a message; names are foreign text

_Name = Annotated[str, Field(min_length=1, max_length=211)]
_Cohort = Annotated[int, Field(ge=0)]
_Users = Annotated[int, Field(ge=1)]


class ProfileInvalid(ValueError):
    """A document that is neither a layer profile nor popularity data; the message has the place."""


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """The profile of one package.

    ``users`` counts the packages whose closure contains it, itself included.  Packages of one
    ``cohort`` nearly always occur in the same images; those without one have their own layers.
    """

    cohort: int | None
    users: int


class LayerProfile:
    """Entries by unversioned package name, out of ``packages`` packages.

    ``identity`` is the digest of the content in canonical form: images cut by different profiles
    are different images.  Popularity data has no cohorts.
    """

    __slots__ = ("entries", "has_cohorts", "identity", "packages")

    def __init__(self, packages: int, entries: Mapping[str, ProfileEntry]) -> None:
        self.packages = packages
        self.entries = entries
        self.has_cohorts = any(entry.cohort is not None for entry in entries.values())
        self.identity = Digest.of(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LayerProfile) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def to_json(self) -> bytes:
        """Return the plan file, in canonical form: equal profiles are equal files."""
        return canonical_json(
            {
                "format": FORMAT,
                "packages": self.packages,
                "names": {name: [e.cohort, e.users] for name, e in self.entries.items()},
            }
        )


class _ProfileFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal["nixery-plan-1"]
    packages: Annotated[int, Field(ge=1)]
    names: dict[_Name, tuple[_Cohort | None, _Users]]


_POPULARITY = TypeAdapter(dict[_Name, _Users], config=ConfigDict(strict=True))


def parse_profile(document: bytes) -> LayerProfile:
    """Parse a plan file, or Nixery's popularity data.  Raises ProfileInvalid."""
    try:
        content = from_json(document)
    except ValueError as error:
        raise ProfileInvalid(f"not JSON: {error}") from None
    try:
        # Popularity counts are numbers, even that of a package called "format".
        if not isinstance(content, dict) or not isinstance(content.get("format"), str):
            return from_popularity(_POPULARITY.validate_python(content))
        del content  # a third of the memory that a profile of nixpkgs takes at its peak
        return _from_file(_ProfileFile.model_validate_json(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = one_line(".".join(map(str, first["loc"])), _SHOWN) or "the document"
        raise ProfileInvalid(f"{where}: {first['msg']}") from None


def _from_file(file: _ProfileFile) -> LayerProfile:
    """Make a profile in which equal entries are one object: most packages have few users."""
    entries = {entry: ProfileEntry(*entry) for entry in file.names.values()}
    return LayerProfile(file.packages, {n: entries[entry] for n, entry in file.names.items()})


def from_popularity(popularity: Mapping[str, int]) -> LayerProfile:
    """Make a profile without cohorts from Nixery's ``{"name-version": references}``.

    Versions of one package are added up, so that the data serves another release too.  The file
    lacks the number of packages; the count of the most referenced one replaces it.
    """
    users: dict[str, int] = {}
    for name, count in popularity.items():
        plain = unversioned(name)
        users[plain] = users.get(plain, 0) + count
    packages = max(users.values(), default=1)
    return LayerProfile(
        packages, {name: ProfileEntry(None, count) for name, count in users.items()}
    )

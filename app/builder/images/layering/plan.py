"""What is known of a whole package set, and helps to cut the layers of one image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from app.builder.images.layering.names import unversioned
from app.oci import Digest, canonical_json

FORMAT = "nixery-plan-1"

_Name = Annotated[str, Field(min_length=1, max_length=211)]
_Cohort = Annotated[int, Field(ge=0)]
_Users = Annotated[int, Field(ge=1)]


class PlanInvalid(ValueError):
    """The document is neither a plan nor popularity data; the message says where it is wrong."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """``users`` counts the packages whose closure holds this one, itself included.

    Packages of one ``cohort`` occur in the same images nearly always; those without one
    travel alone.
    """

    cohort: int | None
    users: int


class Plan:
    """Entries by unversioned package name, out of ``packages`` packages in all.

    ``identity`` tells plans apart by what they say, however they were written: images cut by
    different plans are different images.
    """

    __slots__ = ("entries", "identity", "packages")

    def __init__(self, packages: int, entries: Mapping[str, PlanEntry]) -> None:
        self.packages = packages
        self.entries = entries
        self.identity = Digest.of(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def to_json(self) -> bytes:
        """The plan file, canonical: equal plans are equal files."""
        return canonical_json(
            {
                "format": FORMAT,
                "packages": self.packages,
                "names": {name: [e.cohort, e.users] for name, e in self.entries.items()},
            }
        )


class _PlanFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal["nixery-plan-1"]
    packages: Annotated[int, Field(ge=1)]
    names: dict[_Name, tuple[_Cohort | None, _Users]]


_POPULARITY = TypeAdapter(dict[_Name, _Users], config=ConfigDict(strict=True))


def parse_plan(document: bytes) -> Plan:
    """A plan file, or the popularity data of Nixery.  Raises PlanInvalid."""
    try:
        content = from_json(document)
    except ValueError as error:
        raise PlanInvalid(f"not JSON: {error}") from None
    try:
        # A popularity count is never a string, not even that of a package called "format".
        if isinstance(content, dict) and isinstance(content.get("format"), str):
            file = _PlanFile.model_validate_json(document)
            return Plan(file.packages, {n: PlanEntry(*entry) for n, entry in file.names.items()})
        return from_popularity(_POPULARITY.validate_python(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise PlanInvalid(f"{where}: {first['msg']}") from None


def from_popularity(popularity: Mapping[str, int]) -> Plan:
    """Nixery's ``{"name-version": references}``: an order of packages, but no cohorts.

    Versions of one package count as one, so the data stays useful for another release.  The
    most referenced package stands in for the number of packages, which the file does not say.
    """
    users: dict[str, int] = {}
    for name, count in popularity.items():
        plain = unversioned(name)
        users[plain] = users.get(plain, 0) + count
    packages = max(users.values(), default=1)
    return Plan(packages, {name: PlanEntry(None, count) for name, count in users.items()})

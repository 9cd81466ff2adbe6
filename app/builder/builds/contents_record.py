"""The packages of a built image: one record for pages, lists and descriptions."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from app.builder.builds.closures import Closures
from app.builder.builds.supply import Ingredients
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.results import Found
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.text.sanitize import one_line

_LIMIT = 1_000
_LICENSES = 50
_Text = Annotated[str, Field(max_length=_LIMIT)]


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A package of an image, as pages and lists show it.

    ``licenses`` are SPDX identifiers where the package set has them, else its own names.
    """

    attribute: _Text
    version: _Text
    path: StorePath
    licenses: Annotated[tuple[_Text, ...], Field(max_length=_LICENSES)] = ()
    description: _Text = ""
    homepage: Annotated[str, Field(max_length=_LIMIT, pattern=r"^(?:https?://.+)?$")] = ""


@dataclass(frozen=True, slots=True)
class ImagePackages:
    """The packages of an image, and the store paths that they need.

    ``closure`` is None if a part of it is not recorded.
    """

    packages: tuple[PackageFacts, ...]
    closure: Closure | None


CONTENTS: Kind[tuple[PackageFacts, ...]] = Kind(
    name="contents", format=1, adapter=TypeAdapter(tuple[PackageFacts, ...])
)


def contents_record_key(manifest: Digest) -> Digest:
    return CONTENTS.key(manifest=str(manifest))


class ImageContents:
    """The records of images' packages, and the closures of these."""

    def __init__(self, *, storage: Storage, closures: Closures) -> None:
        self._records = Records(storage=storage, kind=CONTENTS)
        self.closures = closures

    async def read(self, manifest: Digest) -> ImagePackages:
        """Return no packages if the record is missing.  Raises StorageUnavailable."""
        packages = await self._records.read(contents_record_key(manifest)) or ()
        closure = await self.closures.read(one.path for one in packages) if packages else None
        return ImagePackages(packages, closure)

    async def write(self, manifest: Digest, ingredients: Ingredients) -> None:
        """Record the packages of the image with this manifest.  Raises StorageUnavailable."""
        await self._records.write(contents_record_key(manifest), package_facts(ingredients))


def package_facts(ingredients: Ingredients) -> tuple[PackageFacts, ...]:
    """Return the packages of an image, in the order of the request."""
    return tuple(map(_facts, ingredients.packages.values()))


def _facts(package: Found) -> PackageFacts:
    names = [license_.spdx or license_.name or "" for license_ in package.licenses]
    return PackageFacts(
        attribute=one_line(package.attribute, _LIMIT),
        version=one_line(package.version or "", _LIMIT),
        path=package.path,
        licenses=tuple(one_line(name, _LIMIT) for name in names if name)[:_LICENSES],
        description=one_line(package.description or "", _LIMIT),
        homepage=one_line(package.homepage or "", _LIMIT),
    )

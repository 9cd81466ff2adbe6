"""Image references without the host: a repository name with a tag or digest."""

import re
from dataclasses import dataclass

from app.errors import ImageUnknown, NameInvalid
from app.oci import Digest

# distribution-spec, "Pulling manifests"; ``fullmatch`` throughout, since ``$`` admits a newline.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME_PATTERN = rf"{_COMPONENT}(?:/{_COMPONENT})*"
TAG_PATTERN = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
NAME_LIMIT = 255
LATEST = "latest"  # the tag of a name without one
NAME = re.compile(NAME_PATTERN)
TAG = re.compile(TAG_PATTERN)
# distribution-spec, "Referrers Tag Schema" (``sha256-<hex>``); cosign adds the suffixes.  Clients
# request these by themselves, so they must cost nothing.
_RESERVED = re.compile(r"(?:sha256|sha384|sha512)-[a-f0-9]{64}(?:\..*)?|.*\.(?:sig|att|sbom)")


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """A repository name, valid by the distribution specification."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "RepositoryName":
        """Parse a name, as it stands in a path.  Raises NameInvalid."""
        if len(text) > NAME_LIMIT:
            raise NameInvalid(f"a repository name has at most {NAME_LIMIT} characters")
        if not NAME.fullmatch(text):
            raise NameInvalid(
                "a repository name is made of lower-case letters and digits,"
                " separated by one of . _ __ - or /"
            )
        return cls(text)

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(self.text.split("/"))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Tag:
    """A valid tag."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """Parse a tag.

        Raises ImageUnknown: no source has a revision with an invalid tag.
        """
        if not TAG.fullmatch(text):
            raise ImageUnknown("a tag is made of letters, digits, . _ and -, at most 128")
        return cls(text)

    @property
    def reserved(self) -> bool:
        """Whether clients use this tag only to find signatures and referrers."""
        return _RESERVED.fullmatch(self.text) is not None

    def __str__(self) -> str:
        return self.text


LATEST_TAG = Tag(LATEST)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A repository name, and a tag or a digest."""

    name: RepositoryName
    reference: Tag | Digest

    @classmethod
    def parse(cls, name: str, reference: str) -> "ImageReference":
        """Parse a name, and a tag or a digest.

        Raises NameInvalid, DigestInvalid (for any text with a colon), ImageUnknown.
        """
        parsed = Digest.parse(reference) if ":" in reference else Tag.parse(reference)
        return cls(RepositoryName.parse(name), parsed)

    @classmethod
    def to_build(cls, text: str) -> "ImageReference":
        """Parse ``NAME`` or ``NAME:TAG``, an image that can be built.  Raises NameInvalid."""
        name, colon, tag = text.partition(":")
        if "@" in text or tag.startswith("sha256:"):
            raise NameInvalid("an image is built by its tag, not by a digest")
        if "/" in tag:
            raise NameInvalid("an image is NAME or NAME:TAG, without the address of a registry")
        try:
            parsed = Tag.parse(tag) if colon else LATEST_TAG
        except ImageUnknown as error:
            raise NameInvalid(error.message) from None
        return cls(RepositoryName.parse(name), parsed)

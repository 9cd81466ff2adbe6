"""The result of an evaluation for each name (nix/evaluate.nix).

Records have the same form, so that a stored result is validated like a new one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, TypeAdapter

from app.builder.nix.closure import STORE, StorePath
from app.text.sanitize import is_plain, one_line

_SHOWN_LIMIT = 1000
_WEB = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:[/?#][!-~]{0,900})?")
_IN_SOURCE = re.compile(rf"(?:{STORE}/[^/]+/|(?!/))((?!/)[!-~]{{1,900}}:[0-9]{{1,9}})")
_SPDX = re.compile(r"[A-Za-z0-9.+-]{1,100}")


def _store_path(value: object) -> StorePath:
    return value if isinstance(value, StorePath) else StorePath.parse(str(value))


def _derivation(value: object) -> StorePath:
    path = _store_path(value)
    if not path.name.endswith(".drv"):
        raise ValueError("not a derivation")
    return path


def _plain(text: str) -> str | None:
    """Return None for a text with other characters: sanitized, it could equal an allowed name."""
    return text if is_plain(text) else None


def _shown(text: str) -> str:
    return one_line(text, _SHOWN_LIMIT)


def _url(text: str) -> str | None:
    """Return None unless it is a plain address of the web, without credentials."""
    return text if is_plain(text) and _WEB.fullmatch(text) else None


def _position(text: str) -> str | None:
    """Return the file and line relative to the package set; None for a place on this machine."""
    found = _IN_SOURCE.fullmatch(text)
    return _plain(found[1]) if found else None


def _identifier(scheme: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        return text if text.startswith(scheme) and text.isascii() and is_plain(text) else None

    return check


_Plain = Annotated[str, AfterValidator(_plain)] | None
_Shown = Annotated[str, AfterValidator(_shown)]
_Path = Annotated[StorePath, PlainValidator(_store_path), PlainSerializer(str)]
_Derivation = Annotated[StorePath, PlainValidator(_derivation), PlainSerializer(str)]
_Spdx = Annotated[str, AfterValidator(lambda text: text if _SPDX.fullmatch(text) else None)] | None
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]
_Output = Annotated[str, Field(pattern=r"^[A-Za-z0-9+._?=-]+$")]


@dataclass(frozen=True, slots=True)
class License:
    """A license, as the package set describes it.

    ``name`` is the SPDX identifier where the package set has one, and so is ``spdx``.
    """

    name: _Shown | None
    free: bool
    spdx: _Spdx = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of a package; None and empty where it has none.

    A text with control characters, direction marks or quotes is None.  ``position`` is the file in
    the package set, with a line; ``cpe`` and ``purl`` identify the package in lists of
    vulnerabilities.  ``service`` is JSON that the package set wrote, for ``parse_service``.
    """

    name: _Plain = None
    pname: _Plain = None
    version: _Plain = None
    licenses: tuple[License, ...] = ()
    vulnerabilities: tuple[_Shown | None, ...] = ()
    insecure: bool = False
    broken: bool = False
    priority: int | None = None
    main_program: _Plain = None
    description: _Shown | None = None
    homepage: Annotated[str, AfterValidator(_url)] | None = None
    documentation: Annotated[str, AfterValidator(_url)] | None = None
    position: Annotated[str, AfterValidator(_position)] | None = None
    cpe: Annotated[str, AfterValidator(_identifier("cpe:"))] | None = None
    purl: Annotated[str, AfterValidator(_identifier("pkg:"))] | None = None
    service: Annotated[str, Field(max_length=1 << 16)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Metadata):
    """A package.

    ``path`` is the path of ``output``, which the attribute selects: mostly the first.

    The server has read the path in the derivation, or Nix has derived it again; the package set
    only claims it.
    """

    attribute: str
    derivation: _Derivation
    output: _Output
    path: _Path
    status: Literal["package"] = "package"


class Validity(StrEnum):
    """How long a failed evaluation is valid for its revision."""

    ALWAYS = "always"
    """The package set raises this error on every machine."""
    PROCESS = "process"
    """The message does not show how long; the failure is cached in memory only."""
    MINUTES = "minutes"
    """A limit of time or memory, or a missing file: an idle or repaired machine may succeed."""
    NEVER = "never"
    """Transient: the network, a killed process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Metadata):
    """The attribute does not evaluate; ``message`` is "" until an evaluation with ``explain``."""

    attribute: str = ""
    message: str = ""
    validity: Validity = Validity.ALWAYS
    status: Literal["raised"] = "raised"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """The package set has no attribute of this name."""

    status: Literal["unknown"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """Several attributes differ from the name only in case."""

    candidates: tuple[str, ...]
    status: Literal["ambiguous"] = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaPackage:
    """A set that stands for the packages with these names."""

    attribute: str
    packages: Annotated[tuple[_Name, ...], Field(max_length=64)]
    status: Literal["meta"] = "meta"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAPackage:
    """An attribute that is another value.

    ``kind`` with its article: "a function".
    """

    attribute: str
    kind: str
    status: Literal["other"] = "other"


EvaluationResult = Found | Failed | NotFound | Ambiguous | MetaPackage | NotAPackage
EVALUATION_RESULT: TypeAdapter[EvaluationResult] = TypeAdapter(
    Annotated[EvaluationResult, Field(discriminator="status")]
)


def parse(document: object) -> EvaluationResult:
    """Parse one result.  Raises ValueError."""
    return EVALUATION_RESULT.validate_python(document)

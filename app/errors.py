"""Errors, with the codes of the distribution specification.

    RegistryError
      NameInvalid         400 NAME_INVALID
      DigestInvalid       400 DIGEST_INVALID
      ManifestUnknown     404 MANIFEST_UNKNOWN
        ImageUnknown      or 403 for clients that hide the message of a 404
      NameUnknown         404 NAME_UNKNOWN
      BlobUnknown         404 BLOB_UNKNOWN
      NotAcceptable       406 UNSUPPORTED
      RangeInvalid        416 UNSUPPORTED
      PaginationInvalid   400 UNSUPPORTED
      Refused             403 UNKNOWN: most clients print the message of this status
      TooManyRequests     429 TOOMANYREQUESTS with Retry-After
      Unavailable         503 UNAVAILABLE: the operator has to act, or waiting helps

Subclasses have the status of the nearest class above them.
``app.routers.errors`` maps the classes to statuses, ``app.failure`` keeps errors as values.  The
codes are those of the specification ("Error Codes"); UNKNOWN and UNAVAILABLE are extensions that
all registries use.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Codes of the distribution specification, and two extensions."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    DIGEST_INVALID = "DIGEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"
    UNSUPPORTED = "UNSUPPORTED"


class OperatorError(Exception):
    """An error that ends a command or the server; the message is one line for the operator."""


class RegistryError(Exception):
    """An error that a client gets in the registry's format.

    ``message`` is one line for the user's terminal; ``detail`` is for programs.  ``page`` is the
    identifier of the job whose page explains the failure, "" without one.
    """

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN

    def __init__(self, message: str, detail: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail or {}
        self.page = ""


class NameInvalid(RegistryError):
    """The image name is not a valid repository name, or has two architectures or over 64 components."""

    code = ErrorCode.NAME_INVALID


class DigestInvalid(RegistryError):
    """The digest does not have the form of one, or is not a SHA-256."""

    code = ErrorCode.DIGEST_INVALID


class ManifestUnknown(RegistryError):
    """No image has this manifest, or it was deleted."""

    code = ErrorCode.MANIFEST_UNKNOWN


class ImageUnknown(ManifestUnknown):
    """The name or the tag of the pull is wrong, and a person has to correct it.

    A missing digest and a tag that only tools request are not of this class: tools depend on 404.
    """


class TagUnknown(ImageUnknown):
    """The package source does not have this tag; the message lists the tags that exist."""


class PackagesUnknown(ImageUnknown):
    """The package set has no attribute for at least one requested package."""

    def __init__(
        self, packages: tuple[str, ...], suggestions: tuple[str, ...] = (), *, remark: str = ""
    ) -> None:
        message = f"no such package: {', '.join(packages)}"
        if suggestions:
            remark = f"did you mean {', '.join(suggestions)}?"
        if remark:
            message += f" ({remark})"
        super().__init__(message, {"packages": list(packages), "suggestions": list(suggestions)})
        self.packages = packages


class NamesPending(PackagesUnknown):
    """The same, before the names of the package set are listed; a retry may suggest some."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        super().__init__(
            packages,
            remark="the names of its source are still being listed; try again for suggestions",
        )


class NotADerivation(ImageUnknown):
    """The attribute exists, but is a function, a set of packages or plain data."""

    def __init__(self, package: str, kind: str) -> None:
        super().__init__(f"{package} is {kind}, not a package", {"package": package, "kind": kind})


class NameUnknown(RegistryError):
    """No source has these packages, in a list of tags or a search."""

    code = ErrorCode.NAME_UNKNOWN


class BlobUnknown(RegistryError):
    """The blob was never stored, or it was deleted."""

    code = ErrorCode.BLOB_UNKNOWN


class NotAcceptable(RegistryError):
    """The image has no manifest of a type that the client accepts."""

    code = ErrorCode.UNSUPPORTED


class RangeInvalid(RegistryError):
    """The requested range is outside the blob.

    ``size`` is that of the blob, in bytes.
    """

    code = ErrorCode.UNSUPPORTED

    def __init__(self, size: int) -> None:
        super().__init__(f"the blob has {size} bytes", {"size": size})
        self.size = size


class PaginationInvalid(RegistryError):
    """A parameter of a list is invalid."""

    code = ErrorCode.UNSUPPORTED


class Refused(RegistryError):
    """The request is valid but will not be fulfilled; a retry does not help."""


class PolicyRefused(Refused):
    """A setting of the source forbids the package: unfree, insecure, broken."""


class NotCached(PolicyRefused):
    """The source may not build, and no trusted binary cache has a path that it needs."""


class EvaluationFailed(Refused):
    """The package set raised an error or exceeded a limit while it was evaluated."""


class BuildFailed(Refused):
    """A derivation does not build, or has other outputs than its package claims.

    ``log`` holds the last lines of the derivation's log, for the build's page.
    """

    def __init__(self, message: str, *, derivation: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, {"derivation": derivation} if derivation else None)
        self.derivation = derivation
        self.log = log


class BuildTimedOut(Refused):
    """The build took longer than its source allows."""


class PackingTimedOut(Refused):
    """Packing took longer than one image may; the next pull continues from there."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"packing was stopped after the {seconds:g} s that one image may take"
            " (NIXERY_PACKING_SECONDS); the next pull continues where it stopped"
        )


class LinksTooMany(Refused):
    """The links of an image exceed a bound.

    ``packages`` are the names of the packages that the links point to.
    """

    def __init__(self, packages: tuple[str, ...], reason: str) -> None:
        super().__init__(
            f"the links to {', '.join(packages)} fit in no image: {reason}",
            {"packages": list(packages)},
        )


class Unpackable(Refused):
    """No image can hold the files of a store path.

    ``path`` is a store path, as text.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} fits in no image: {reason}", {"path": path})


class TooManyRequests(RegistryError):
    """The server is busy, or the client has used its share.

    ``retry_after`` is an estimate in whole seconds.
    """

    code = ErrorCode.TOOMANYREQUESTS

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, {"retry_after": retry_after})
        self.retry_after = retry_after


class StillBuilding(TooManyRequests):
    """The client cannot be redirected to wait for the build.

    ``page`` is the identifier of the running job.
    """

    def __init__(self, message: str, *, retry_after: int, page: str = "") -> None:
        super().__init__(message, retry_after=retry_after)
        self.page = page


class Unavailable(RegistryError):
    """A fault of the server or its environment; the same request may succeed later."""

    code = ErrorCode.UNAVAILABLE


class StorageUnavailable(Unavailable):
    """The storage cannot be read or written."""


class StoreUnreadable(Unavailable):
    """A store path is missing or damaged.

    ``path`` is a store path, as text.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be packed: {reason}", {"path": path})


class StoreUnavailable(Unavailable):
    """Nix or its store failed for a transient reason that has nothing to do with the package."""


class DownloadFailed(Unavailable):
    """A download failed, after retries.

    ``host`` is the binary cache or the URL of a file; ``path`` is the store path, or "".
    """

    def __init__(self, message: str, *, host: str, path: str = "") -> None:
        super().__init__(message, {"cache": host, "path": path})
        self.host = host
        self.path = path


class SourceUnavailable(Unavailable):
    """The package source cannot be reached, or its files cannot be used."""


class Draining(Unavailable):
    """The server is stopping."""

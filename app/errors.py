"""Errors, with the codes of the distribution specification.

    RegistryError
      NameInvalid              400 NAME_INVALID
      DigestInvalid            400 DIGEST_INVALID
      ManifestUnknown          404 MANIFEST_UNKNOWN
        ImageUnknown           the name or tag is wrong; 403 for clients that hide a 404
          TagUnknown           the source does not have this revision
          PackagesUnknown      the package set has no such attributes
            NamesPending       the same, before any names can be suggested
          NotADerivation       the attribute exists but is not a package
      NameUnknown              404 NAME_UNKNOWN
      BlobUnknown              404 BLOB_UNKNOWN
      NotAcceptable            406 UNSUPPORTED
      RangeInvalid             416 UNSUPPORTED
      PaginationInvalid        400 UNSUPPORTED
      Refused                  403 UNKNOWN: most clients print the message of this status
        PolicyRefused          a setting of the source forbids it (unfree, insecure, broken, ...)
          NotCached            the source may not build and no binary cache has the package
        EvaluationFailed       the package set raised an error or exceeded a limit
        BuildFailed            a derivation failed; names it and its last log lines
        BuildTimedOut          a limit ended the build; names the limit
        PackingTimedOut        packing took longer than one image may
        LinksTooMany           an image may not have so many links to packages
        Unpackable             an image cannot hold an entry of a store path
      TooManyRequests          429 TOOMANYREQUESTS with Retry-After
        StillBuilding          the request timed out; the build continues
      Unavailable              503 UNAVAILABLE: the operator has to act, or waiting helps
        StorageUnavailable
        StoreUnreadable        a store path is gone, or changed while it was packed
        StoreUnavailable       a transient failure of Nix or its store
        DownloadFailed         a binary cache or another host failed; names the host and the path
        SourceUnavailable      the source cannot be reached and no revision is known
        Draining               the server is stopping

``app.routers.errors`` maps the classes to statuses, ``app.failure`` keeps errors as values.  Codes: distribution-spec, "Error Codes";
UNKNOWN and UNAVAILABLE are extensions that all registries use.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
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
    """``message`` is one line for the user's terminal, ``detail`` is for programs.

    ``page`` is the identifier of the job whose page explains the failure, "" without one.
    """

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN

    def __init__(self, message: str, detail: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail or {}
        self.page = ""


class NameInvalid(RegistryError):
    code = ErrorCode.NAME_INVALID


class DigestInvalid(RegistryError):
    code = ErrorCode.DIGEST_INVALID


class ManifestUnknown(RegistryError):
    code = ErrorCode.MANIFEST_UNKNOWN


class ImageUnknown(ManifestUnknown):
    """A person has to correct the name or the tag of a pull.

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
    """PackagesUnknown before the names of the package set are listed; a retry may suggest some."""

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
    code = ErrorCode.NAME_UNKNOWN


class BlobUnknown(RegistryError):
    code = ErrorCode.BLOB_UNKNOWN


class NotAcceptable(RegistryError):
    """The image has no manifest of a type that the client accepts."""

    code = ErrorCode.UNSUPPORTED


class RangeInvalid(RegistryError):
    """The requested range is outside the blob, which has ``size`` bytes."""

    code = ErrorCode.UNSUPPORTED

    def __init__(self, size: int) -> None:
        super().__init__(f"the blob has {size} bytes", {"size": size})
        self.size = size


class PaginationInvalid(RegistryError):
    code = ErrorCode.UNSUPPORTED


class Refused(RegistryError):
    """The request is valid but will not be fulfilled; a retry does not help."""


class PolicyRefused(Refused):
    pass


class NotCached(PolicyRefused):
    """The source may not build, and no trusted binary cache has a path that it needs."""


class EvaluationFailed(Refused):
    """The package set raised an error or exceeded a limit while it was evaluated."""


class BuildFailed(Refused):
    """``log`` holds the last lines of the derivation's log, for the build's page."""

    def __init__(self, message: str, *, derivation: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, {"derivation": derivation} if derivation else None)
        self.derivation = derivation
        self.log = log


class BuildTimedOut(Refused):
    pass


class PackingTimedOut(Refused):
    """Finished layers are stored, so the next request continues from there."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"packing was stopped after the {seconds:g} s that one image may take"
            " (NIXERY_PACKING_SECONDS); the next pull continues where it stopped"
        )


class LinksTooMany(Refused):
    """``packages`` are the names of the packages that the links point to."""

    def __init__(self, packages: tuple[str, ...], reason: str) -> None:
        super().__init__(
            f"the links to {', '.join(packages)} fit in no image: {reason}",
            {"packages": list(packages)},
        )


class Unpackable(Refused):
    """``path`` is a store path, as text."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} fits in no image: {reason}", {"path": path})


class TooManyRequests(RegistryError):
    """``retry_after`` is an estimate in whole seconds."""

    code = ErrorCode.TOOMANYREQUESTS

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, {"retry_after": retry_after})
        self.retry_after = retry_after


class StillBuilding(TooManyRequests):
    """``page`` is the identifier of the running job."""

    def __init__(self, message: str, *, retry_after: int, page: str = "") -> None:
        super().__init__(message, retry_after=retry_after)
        self.page = page


class Unavailable(RegistryError):
    """A fault of the server or its environment; the same request may succeed later."""

    code = ErrorCode.UNAVAILABLE


class StorageUnavailable(Unavailable):
    pass


class StoreUnreadable(Unavailable):
    """``path`` is a store path, as text."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be packed: {reason}", {"path": path})


class StoreUnavailable(Unavailable):
    """Nix or its store failed for a transient reason that has nothing to do with the package."""


class DownloadFailed(Unavailable):
    """``host`` is the binary cache or the URL of a file; ``path`` is the store path, or ""."""

    def __init__(self, message: str, *, host: str, path: str = "") -> None:
        super().__init__(message, {"cache": host, "path": path})
        self.host = host
        self.path = path


class SourceUnavailable(Unavailable):
    pass


class Draining(Unavailable):
    pass

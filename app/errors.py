"""What can go wrong, in the words of the distribution specification.

    RegistryError
      NameInvalid              400 NAME_INVALID
      DigestInvalid            400 DIGEST_INVALID
      ManifestUnknown          404 MANIFEST_UNKNOWN
        ImageUnknown           no image can have this name or tag; 403 for clients that hide a 404
          TagUnknown           the source knows no such revision
          PackagesUnknown      the package set has no such attributes
            NamesPending       the same, before there was anything to propose
          NotADerivation       the attribute exists and is no package
      NameUnknown              404 NAME_UNKNOWN
      BlobUnknown              404 BLOB_UNKNOWN
      NotAcceptable            406 UNSUPPORTED
      RangeInvalid             416 UNSUPPORTED
      PaginationInvalid        400 UNSUPPORTED
      Refused                  403 UNKNOWN, the status whose text most clients print
        PolicyRefused          a setting of the source forbids it (unfree, insecure, broken, ...)
          NotCached            a source that may not build, and no binary cache has the package
        EvaluationFailed       the package set itself raised, or went over a limit
        BuildFailed            a derivation failed; names it and its last log lines
        BuildTimedOut          a limit ended the build; names the limit
        PackingTimedOut        packing took longer than one image may
        LinksTooMany           the links to the packages are more than an image may have
        Unpackable             a store path has something that no image can hold
      TooManyRequests          429 TOOMANYREQUESTS with Retry-After
        StillBuilding          the client's patience is used up, the build goes on
      Unavailable              503 UNAVAILABLE: ours to mend
        StorageUnavailable
        StoreUnreadable        a store path is gone, or changed while it was packed
        StoreUnavailable       Nix or its store could not do it now
        DownloadFailed         a binary cache, or another host, failed; names it and the path
        SourceUnavailable      the source cannot be reached and no revision is known
        Draining               the server is stopping

Statuses live in app.routers.errors, which has one row for each branch; they are repeated
here only as a map for the reader.  Codes: distribution-spec, "Error Codes"; UNKNOWN and
UNAVAILABLE are the extensions every registry uses.
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
    """What keeps a command or the server from its work: one line for the operator to read."""


class RegistryError(Exception):
    """The message is one line for the user's terminal; the detail is for programs."""

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN

    def __init__(self, message: str, detail: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail or {}


class NameInvalid(RegistryError):
    code = ErrorCode.NAME_INVALID


class DigestInvalid(RegistryError):
    code = ErrorCode.DIGEST_INVALID


class ManifestUnknown(RegistryError):
    code = ErrorCode.MANIFEST_UNKNOWN


class ImageUnknown(ManifestUnknown):
    """The name or the tag of a pull is wrong, which the message explains to the user.

    A digest that is not stored and a tag that only tools request are not of this class: tools
    depend on their 404.
    """


class TagUnknown(ImageUnknown):
    """The package source has no revision of this name; the message lists what it has."""


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
    """The same before the set's names are listed: asked again, it may propose some of them."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        super().__init__(
            packages,
            remark="the names of its source are still being listed; ask again for proposals",
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
    """The image has no manifest of a type that the client says it reads."""

    code = ErrorCode.UNSUPPORTED


class RangeInvalid(RegistryError):
    """No byte of the requested range exists; ``size`` is the blob's, in bytes."""

    code = ErrorCode.UNSUPPORTED

    def __init__(self, size: int) -> None:
        super().__init__(f"the blob has {size} bytes", {"size": size})
        self.size = size


class PaginationInvalid(RegistryError):
    code = ErrorCode.UNSUPPORTED


class Refused(RegistryError):
    """The request was understood and will not be fulfilled; asking again does not help."""


class PolicyRefused(Refused):
    pass


class NotCached(PolicyRefused):
    """No binary cache has what a source without ``build`` needs, as far as Nix may take it."""


class EvaluationFailed(Refused):
    """The package set raised an error or exceeded a limit while it was evaluated."""


class BuildFailed(Refused):
    """A derivation did not build.  ``log`` holds its last lines, for the build's page."""

    def __init__(self, message: str, *, derivation: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, {"derivation": derivation} if derivation else None)
        self.derivation = derivation
        self.log = log


class BuildTimedOut(Refused):
    pass


class PackingTimedOut(Refused):
    """What was packed by then is stored: the next request goes on from there."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"packing was stopped after the {seconds:g} s that one image may take"
            " (NIXERY_PACKING_SECONDS); asked again, it goes on where it stopped"
        )


class LinksTooMany(Refused):
    """``packages`` are the names of those that the links lead to."""

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
    """``retry_after`` is an honest estimate, in whole seconds."""

    code = ErrorCode.TOOMANYREQUESTS

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, {"retry_after": retry_after})
        self.retry_after = retry_after


class StillBuilding(TooManyRequests):
    pass


class Unavailable(RegistryError):
    """Our own fault or our surroundings'; the same request may succeed later."""

    code = ErrorCode.UNAVAILABLE


class StorageUnavailable(Unavailable):
    pass


class StoreUnreadable(Unavailable):
    """``path`` is a store path, as text."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be packed: {reason}", {"path": path})


class StoreUnavailable(Unavailable):
    """Nix or its store failed for a reason that is not the package's, and may not fail again."""


class DownloadFailed(Unavailable):
    """A download failed during a realisation.

    ``host`` is the binary cache, or the URL of another file; ``path`` the store path, or "".
    """

    def __init__(self, message: str, *, host: str, path: str = "") -> None:
        super().__init__(message, {"cache": host, "path": path})
        self.host = host
        self.path = path


class SourceUnavailable(Unavailable):
    pass


class Draining(Unavailable):
    pass

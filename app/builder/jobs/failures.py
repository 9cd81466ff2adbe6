"""For how long a failure is the answer, so that a client's blind repeats cost nothing."""

from dataclasses import dataclass

from app.errors import (
    Draining,
    NamesPending,
    NotADerivation,
    PackagesUnknown,
    PolicyRefused,
    Refused,
    RegistryError,
    TagUnknown,
    TooManyRequests,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class FailureMemory:
    """Seconds, by what has to happen before the same request can succeed."""

    passing: float
    """An upstream comes back, a fault of ours is mended."""
    failed: float
    """Somebody changes what was built."""
    unknown: float
    """The tag moves to another revision, or a setting changes."""

    def seconds(self, error: RegistryError) -> float:
        match error:
            case TooManyRequests() | Draining():
                return 0  # says when to come back; being early must not be held against anyone
            case NamesPending():
                return self.passing
            case PackagesUnknown() | NotADerivation() | PolicyRefused() | TagUnknown():
                return self.unknown
            case Refused():
                return self.failed
            case Unavailable():
                return self.passing
            case _:
                return self.passing

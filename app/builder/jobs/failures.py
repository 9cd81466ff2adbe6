"""How long failures are cached, so that repeated requests cost nothing."""

from dataclasses import dataclass

from app.errors import (
    Draining,
    NamesPending,
    NotADerivation,
    NotCached,
    PackagesUnknown,
    PolicyRefused,
    Refused,
    RegistryError,
    TagUnknown,
    TooManyRequests,
)


@dataclass(frozen=True, slots=True)
class FailureLifetimes:
    """Seconds, by what has to happen before the same request can succeed."""

    transient: float
    """An upstream recovers, or this server is repaired."""
    failed: float
    """The package changes, or a binary cache gets it."""
    unknown: float
    """The tag moves to another revision, or a setting changes."""

    def seconds(self, error: RegistryError) -> float:
        match error:
            case TooManyRequests() | Draining():
                return 0  # the response has a time; an early retry must not prolong it
            case NamesPending():
                return self.transient
            case PackagesUnknown() | NotADerivation() | TagUnknown():
                return self.unknown
            case PolicyRefused() if not isinstance(error, NotCached):
                return self.unknown
            case Refused():
                return self.failed
            case _:
                return self.transient

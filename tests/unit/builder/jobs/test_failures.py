"""How long failures last."""

import pytest

from app.builder.jobs.failures import FailureLifetimes
from app.errors import (
    BuildTimedOut,
    DownloadFailed,
    Draining,
    EvaluationFailed,
    NamesPending,
    NotADerivation,
    NotCached,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
    SourceUnavailable,
    StillBuilding,
    StorageUnavailable,
    StoreUnavailable,
    TagUnknown,
)

MEMORY = FailureLifetimes(transient=1, failed=2, unknown=3)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (StillBuilding("", retry_after=1), 0),
        (Draining(""), 0),
        (SourceUnavailable(""), 1),
        (StoreUnavailable(""), 1),
        (DownloadFailed("", host="http://cache"), 1),
        (StorageUnavailable(""), 1),
        (RegistryError(""), 1),
        (EvaluationFailed(""), 2),
        (NotCached(""), 2),
        (BuildTimedOut(""), 2),
        (TagUnknown(""), 3),
        (PolicyRefused(""), 3),
        (PackagesUnknown(("x",)), 3),
        (NamesPending(("x",)), 1),
        (NotADerivation("lib", "a set"), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_is_forgotten_before_what_cannot(
    error: RegistryError, seconds: float
) -> None:
    assert MEMORY.seconds(error) == seconds

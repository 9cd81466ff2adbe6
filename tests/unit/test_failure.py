"""Failures as values."""

import gc
import weakref

import pytest

from app import errors
from app.errors import BuildFailed, ErrorCode, RegistryError, TooManyRequests
from app.failure import Failure

ERRORS = [
    RegistryError("internal error"),
    BuildFailed("hello failed", derivation="hello.drv", log=("one", "two")),
    TooManyRequests("ask again", retry_after=7),
    errors.PackagesUnknown(("helo",), ("hello",)),
    errors.NamesPending(("helo",)),
    errors.NotADerivation("lib", "a set"),
    errors.RangeInvalid(10),
    errors.PackingTimedOut(3.5),
    errors.LinksTooMany(("hello",), "too long"),
    errors.Unpackable("/nix/store/x", "a socket"),
    errors.StoreUnreadable("/nix/store/x", "gone"),
    errors.DownloadFailed("cache is away", host="cache", path="/nix/store/x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_failure_makes_an_equal_exception_for_each_raise(error: RegistryError) -> None:
    failure = Failure.of(error)

    first, second = failure.exception(), failure.exception()

    assert first is not second
    assert type(first) is type(error)
    assert str(first) == str(error)
    assert vars(first) == vars(error)
    assert (failure.code, failure.message, failure.detail) == (
        error.code,
        error.message,
        error.detail,
    )
    assert failure.code in ErrorCode


def test_raising_twice_does_not_lengthen_the_traceback() -> None:
    failure = Failure.of(RegistryError("internal error"))
    depths = []

    for _ in range(2):
        with pytest.raises(RegistryError) as raised:
            raise failure.exception()
        depths.append(len(raised.traceback))

    assert depths[0] == depths[1]


@pytest.mark.slow
def test_failure_keeps_neither_the_cause_nor_the_frames_of_its_error() -> None:
    class Cause(Exception):
        pass

    def fail() -> tuple[Failure, "weakref.ref[Cause]"]:
        try:
            try:
                raise Cause  # so that it has a traceback
            except Cause as cause:
                reference = weakref.ref(cause)
                raise BuildFailed("failed") from cause
        except BuildFailed as error:
            return Failure.of(error), reference

    failure, reference = fail()
    gc.collect()

    assert reference() is None
    assert failure.exception().__cause__ is None


def test_the_page_of_an_error_outlives_that_of_the_job_which_repeats_it() -> None:
    inner = Failure.of(RegistryError("internal error"), page="inner")

    outer = Failure.of(inner.exception(), page="outer")

    assert (inner.page, inner.exception().page) == ("inner", "inner")
    assert (outer.page, outer.exception().page) == ("inner", "inner")

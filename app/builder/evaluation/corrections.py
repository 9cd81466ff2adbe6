"""Work with a package again whose cached result was another one than with derivation files.

A read-only evaluation may differ: docs/decisions/derivation-files.md.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from app.errors import BuildFailed

R = TypeVar("R")
T = TypeVar("T")

# A set whose results change with each evaluation is at fault.
_ATTEMPTS = 3


class PackagesChanged(Exception):
    """The cached results of these names were wrong and have been replaced."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"{', '.join(names)} evaluates to another package each time")


async def with_corrections(
    work: Callable[[T], Awaitable[R]], subject: T, renew: Callable[[T], T]
) -> R:
    """Return the result of ``work``; repeat it with a renewed subject after a correction.

    Raises BuildFailed if results change each time.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(PackagesChanged):
            return await work(subject)
        subject = renew(subject)
    try:
        return await work(subject)
    except PackagesChanged as error:
        raise BuildFailed(str(error)) from None

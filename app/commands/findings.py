"""The findings of ``nixery doctor``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from app.errors import OperatorError, RegistryError
from app.text.sanitize import one_line

_LIMIT = 500


class Outcome(StrEnum):
    """The result of a check, the best first."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ``message`` is one line without secrets; ``advice`` is what to do, "" if all is well.
    """

    check: str
    outcome: Outcome
    message: str
    advice: str = ""


def ok(check: str, message: str) -> Finding:
    return Finding(check, Outcome.OK, one_line(message, _LIMIT))


def warning(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Outcome.WARNING, one_line(message, _LIMIT), advice)


def problem(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Outcome.PROBLEM, one_line(message, _LIMIT), advice)


async def attempt(
    check: str, work: Callable[[], Awaitable[object]], *, fine: str, advice: str
) -> Finding:
    """Turn an error of the work into a problem."""
    try:
        await work()
    except (OperatorError, RegistryError) as error:
        cause = error.__cause__
        reason = f"{error} ({cause})" if isinstance(cause, OSError) else str(error)
        return problem(check, reason, advice)
    return ok(check, fine)

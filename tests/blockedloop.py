"""Make a blocking function of app/ fail where it runs on the event loop's thread."""

import inspect
import sys
from pathlib import Path

_TESTS = str(Path(__file__).parent)
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


class BlockedLoop(AssertionError):
    """A blocking function was called on the event loop's thread."""


def fail(violation: str) -> None:
    """Raise BlockedLoop, unless a test made the call.

    A test has its event loop to itself: its own coroutines may call blocking functions of app/.
    """
    if not (violation.startswith("app.") and _called_by_a_test()):
        raise BlockedLoop(violation)


def _called_by_a_test() -> bool:
    """Return whether the innermost coroutine on the stack is one of tests/."""
    frame = sys._getframe(1)
    while (caller := frame.f_back) is not None:
        frame = caller
        if frame.f_code.co_flags & _COROUTINE:
            return frame.f_code.co_filename.startswith(_TESTS)
    return False

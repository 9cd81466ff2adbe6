"""A mark for functions that wait for a disk, a lock or a processor.

The event loop serves every client, so none of them may run on its thread: workers call them
(``app.system.workers``).  A call from the loop's thread is logged; tests make it an error.
"""

import asyncio
import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar, cast

from loguru import logger

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")

_report: Callable[[str], None] = logger.warning


def report_to(report: Callable[[str], None]) -> None:
    """Call ``report`` with each violation, in place of a warning in the log."""
    global _report  # noqa: PLW0603  # one switch for all tests of a process
    _report = report


def blocking(function: F) -> F:
    """Mark a function; its calls cost 0.1 microseconds more."""

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # raises nothing where there is none
            _report(f"{function.__module__}.{function.__qualname__} blocks the event loop")
        return function(*args, **kwargs)

    return cast("F", checked)


def blocking_class(marked: type[C]) -> type[C]:
    """Mark the public methods of a class, other than coroutines."""
    for name, method in list(vars(marked).items()):
        if name.startswith("_") or inspect.iscoroutinefunction(method):
            continue
        if isinstance(method, classmethod | staticmethod):
            setattr(marked, name, type(method)(blocking(method.__func__)))
        elif isinstance(method, FunctionType):
            setattr(marked, name, blocking(method))
    return marked

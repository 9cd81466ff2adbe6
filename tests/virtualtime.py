"""An event loop whose clock moves only when nothing is left to do: time-outs without waiting."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

_Ready = list[tuple[selectors.SelectorKey, int]]


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a timer, advance the clock to it."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> _Ready:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:  # no timer is set: only a socket or a thread can go on
            return super().select(None)
        self._advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For code that has neither sockets nor threads: those take real time, which stands still."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        return self._now

    async def shutdown_default_executor(self, *_limit: float | None) -> None:
        """Without the time limit of newer runners: it would pass before any thread has ended."""
        await super().shutdown_default_executor()

    def _pass(self, seconds: float) -> None:
        self._now += seconds


def virtual_backend() -> tuple[str, dict[str, Any]]:
    """For the fixture ``anyio_backend``."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}

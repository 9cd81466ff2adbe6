"""Whether this server can do its work now: its disks take bytes, the programs it needs answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger

from app.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Check:
    """``run`` returns if all is well and raises a RegistryError that says what is not."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """``problem`` is "" where there is none."""

    name: str
    problem: str


class Readiness:
    """Checks may start processes, so however often it is asked they run at most once per
    ``remember_seconds``; one that takes longer than ``limit_seconds`` is a problem itself.
    """

    def __init__(
        self,
        *,
        checks: tuple[Check, ...],
        limit_seconds: float,
        remember_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._limit_seconds = limit_seconds
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._asking = asyncio.Lock()
        # A thread that hangs cannot be cancelled: its check is not begun again before it ends.
        self._running: dict[str, asyncio.Task[None]] = {}
        self._findings: tuple[Finding, ...] = ()
        self._until = float("-inf")

    async def findings(self) -> tuple[Finding, ...]:
        async with self._asking:
            if self._clock() >= self._until:
                self._findings = tuple(await asyncio.gather(*map(self._find, self._checks)))
                self._until = self._clock() + self._remember_seconds
            return self._findings

    async def _find(self, check: Check) -> Finding:
        task = self._running.get(check.name)
        if task is None:
            task = self._running[check.name] = asyncio.ensure_future(check.run())
        await asyncio.wait((task,), timeout=self._limit_seconds)
        if not task.done():
            return Finding(check.name, f"no answer within {self._limit_seconds:g} s")
        del self._running[check.name]
        try:
            task.result()
        except RegistryError as error:
            return Finding(check.name, error.message)
        except Exception as error:  # noqa: BLE001 - a probe must answer whatever is broken
            logger.opt(exception=error).error("the check of {} broke", check.name)
            return Finding(check.name, "the check itself broke; the log has more")
        return Finding(check.name, "")

"""Checks of what the server needs: its disks, its programs, its default source."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger

from app.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Check:
    """``run`` raises a RegistryError that describes the problem, if there is one."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check; ``problem`` is "" if it succeeded."""

    name: str
    problem: str


class Readiness:
    """Runs the checks at most once in ``remember_seconds``, because they may start processes.

    A check that takes longer than ``limit_seconds`` is a problem.
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
        self._lock = asyncio.Lock()
        # Not a SingleFlight, which cancels its work: a cancelled task leaves a thread that hangs
        # behind, and each probe would add another one.
        self._running: dict[str, asyncio.Task[None]] = {}
        self._findings: tuple[Finding, ...] = ()
        self._until = float("-inf")

    async def findings(self) -> tuple[Finding, ...]:
        async with self._lock:
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
        except Exception as error:  # noqa: BLE001 - a probe must respond whatever is broken
            logger.opt(exception=error).error("the check of {} broke", check.name)
            return Finding(check.name, "the check itself broke; the log has more")
        return Finding(check.name, "")

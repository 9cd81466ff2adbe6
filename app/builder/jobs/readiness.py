"""Checks of what the server needs: its disks, its programs, its default source."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from loguru import logger

from app.errors import RegistryError
from app.system.single_flight import SingleFlight


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness.

    ``run`` raises a RegistryError that describes the problem, if there is one.
    """

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class CheckResult:
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
        # A thread that hangs cannot be cancelled: its check is not started again before it ends.
        self._flights: SingleFlight[str, None] = SingleFlight()
        self._results: tuple[CheckResult, ...] = ()
        self._until = float("-inf")

    async def results(self) -> tuple[CheckResult, ...]:
        async with self._lock:
            if self._clock() >= self._until:
                self._results = tuple(await asyncio.gather(*map(self._find, self._checks)))
                self._until = self._clock() + self._remember_seconds
            return self._results

    async def _find(self, check: Check) -> CheckResult:
        limit = asyncio.timeout(self._limit_seconds)
        try:
            async with limit:
                await self._flights.run(check.name, check.run)
        except RegistryError as error:
            return CheckResult(check.name, error.message)
        except Exception as error:  # noqa: BLE001 - a probe must respond whatever is broken
            if limit.expired():
                return CheckResult(check.name, f"no result within {self._limit_seconds:g} s")
            logger.opt(exception=error).error("the check of {} failed", check.name)
            return CheckResult(check.name, "the check itself failed; the log has details")
        return CheckResult(check.name, "")

"""Measurements of the running server, beside the counters of its parts.

Histograms have no registry of their own: ``app.routers.metrics`` shows them with the counters.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loguru import logger
from prometheus_client import Histogram

_INTERVAL_SECONDS = 0.25
_DISK_SECONDS = 60
_LOW_SHARE = 20  # a disk with less than this part free ...
_LOW_BYTES = 10 << 30  # ... and less than this is low
_BUILD_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Numbers of bytes; ``free`` is what a process without privileges can still use."""

    free: int
    total: int

    @property
    def is_low(self) -> bool:
        return self.free < min(self.total / _LOW_SHARE, _LOW_BYTES)

    def __str__(self) -> str:
        return f"{self.free / 1e9:,.1f} of {self.total / 1e9:,.1f} GB are free"


def _build_seconds() -> Histogram:
    return Histogram(
        "nixery_build_seconds",
        "Time of builds that had something to do, from start to end",
        labelnames=("outcome",),
        buckets=_BUILD_BUCKETS,
        registry=None,
    )


def _phase_seconds() -> Histogram:
    return Histogram(
        "nixery_build_phase_seconds",
        "Time of each phase of these builds: resolve (the tag), evaluate (with the wait for its"
        " queue), fetch (build or download into the Nix store), pack (also while downloading from a"
        " cache), store",
        labelnames=("phase",),
        buckets=_BUILD_BUCKETS,
        registry=None,
    )


def _loop_delay() -> Histogram:
    return Histogram(
        "nixery_event_loop_delay_seconds",
        "How late a timer of the event loop runs, four times a second; clients notice 0.1 s",
        buckets=(0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10),
        registry=None,
    )


async def _no_disks() -> Mapping[str, DiskSpace]:
    return {}


@dataclass(frozen=True, slots=True)
class Measures:
    """Histograms and gauges of one server.

    ``disks`` returns the space of each directory that the server writes to, by its purpose.
    """

    build_seconds: Histogram = field(default_factory=_build_seconds)
    phase_seconds: Histogram = field(default_factory=_phase_seconds)
    loop_delay: Histogram = field(default_factory=_loop_delay)
    disks: Callable[[], Awaitable[Mapping[str, DiskSpace]]] = _no_disks

    @property
    def histograms(self) -> Sequence[Histogram]:
        return self.build_seconds, self.phase_seconds, self.loop_delay

    def build_ended(
        self, outcome: str, seconds: float, phases: Iterable[tuple[str, float]]
    ) -> None:
        self.build_seconds.labels(outcome).observe(seconds)
        for phase, took in phases:
            self.phase_seconds.labels(phase).observe(took)

    async def watch_loop(self) -> None:
        """Measure the event loop's delay until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            self.loop_delay.observe(max(loop.time() - expected, 0))

    async def watch_disks(self) -> None:
        """Log each disk once when it becomes low, and again after it had space; until cancelled."""
        low: frozenset[str] = frozenset()
        while True:
            spaces = await self.disks()
            before, low = low, frozenset(name for name, space in spaces.items() if space.is_low)
            for name in sorted(low - before):
                logger.warning("the disk of {} is almost full: {}", name, spaces[name])
            await asyncio.sleep(_DISK_SECONDS)

"""Measure from within a server; Python imports this module if its directory is in ``PYTHONPATH``.

Threads get their names, by which the kernel counts CPU time.  Under a real-time policy, which ignores
niceness, threads that the server gives a lower priority get one here.

The delay of the event loop is written to the file that ``BENCH_BEATS`` names.  The time of a client's
request also has the client's own wait for a processor, and that for the connection.
"""

import asyncio
import os
import sys
import threading
import time
from array import array
from contextlib import suppress
from pathlib import Path

import uvicorn

_LOWER = {"background", "compress"}
# libuv's timers count milliseconds.
_SECONDS = 0.002


def _name(*_: object) -> None:
    """Run once in each new thread."""
    sys.setprofile(None)
    kind = threading.current_thread().name.rstrip("0123456789").rstrip("_-")
    thread = threading.get_native_id()
    with suppress(OSError):
        Path(f"/proc/self/task/{thread}/comm").write_text(kind[:15])
    if os.sched_getscheduler(thread) == os.SCHED_RR and kind in _LOWER:
        os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))


class _Heartbeat:
    """A timer of the running event loop that starts itself again."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Pairs: a time by the wall clock, and how many seconds late the timer was.
        self._beats = array("d")
        self._start()

    def end(self, path: Path) -> None:
        """Write all beats to a file."""
        self._timer.cancel()
        path.write_bytes(self._beats.tobytes())

    def _start(self) -> None:
        self._due = time.perf_counter() + _SECONDS
        self._timer = self._loop.call_later(_SECONDS, self._beat)

    def _beat(self) -> None:
        self._beats.extend((time.time(), time.perf_counter() - self._due))
        self._start()


def _measure_loop(path: Path) -> None:
    serve = uvicorn.Server.main_loop

    async def measured(self: uvicorn.Server) -> None:
        heartbeat = _Heartbeat()
        try:
            await serve(self)
        finally:
            heartbeat.end(path)

    # Servers of other revisions call it, too.
    uvicorn.Server.main_loop = measured  # type: ignore[method-assign]


threading.setprofile(_name)
if _beats := os.environ.get("BENCH_BEATS"):
    _measure_loop(Path(_beats))

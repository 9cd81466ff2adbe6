"""The running tasks of jobs, and their end when the server stops."""

import asyncio
import math
from typing import Any

_CANCEL_SECONDS = 10


class JobTasks:
    """Holds the tasks, because the event loop has weak references to them only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        # The loop's time at which running tasks are cancelled.
        self._deadline = math.inf
        self._cancelling: asyncio.TimerHandle | None = None

    @property
    def draining(self) -> bool:
        return self._deadline < math.inf

    def add(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)

    def discard(self, task: asyncio.Task[Any]) -> None:
        """Remove a task that has ended."""
        self._tasks.discard(task)

    async def drain(self, seconds: float) -> None:
        """Wait for all tasks, and cancel those that still run after ``seconds``.

        Several calls may overlap: the earliest deadline applies, and each task is cancelled once.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        if deadline < self._deadline:
            self._deadline = deadline
            if self._cancelling is not None:
                self._cancelling.cancel()
            self._cancelling = loop.call_at(deadline, self._cancel)
        # Not the set itself: a job may be followed by another one.
        while self._tasks and (left := deadline + _CANCEL_SECONDS - loop.time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel("the server is stopping")

"""A process that is kept for one revision of a package set, and handles a request at a time."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from app.builder.nix.door import Evaluation
from app.builder.nix.programs.output import parse_rows
from app.builder.nix.programs.request import OUTPUT
from app.system.blocking import blocking
from app.system.conversation import Conversation
from app.system.process import Limits
from app.system.workers import Workers

T = TypeVar("T")


class RequestFailed(Exception):
    """Nix reported an error at the prompt; the process is ready for the next request."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What to start, and the limits of keeping it.

    ``most_memory`` is the resident memory, in bytes, beyond which the process is not kept.
    ``starts`` counts the processes under ``evaluator``.
    """

    evaluation: Evaluation
    command: Sequence[str]
    environment: Mapping[str, str]
    most_memory: float
    starts: Counter[str]
    workers: Workers

    def start(self, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> Conversation:
        """Start the command with more arguments around it.  Raises ProgramNotStarted."""
        self.starts["evaluator"] += 1
        evaluation = self.evaluation
        limits = Limits(seconds=evaluation.seconds, memory=evaluation.memory, output=OUTPUT)
        command = (*before, *self.command, *after)
        return Conversation(command, environment=self.environment, limits=limits)


class Session(ABC):
    """Starts its process with the first request.  A caller of ``request`` holds ``busy``."""

    def __init__(self, kept: Kept) -> None:
        self.busy = asyncio.Lock()
        self._kept = kept
        self._conversation: Conversation | None = None
        self._used = time.monotonic()

    @property
    def ended(self) -> bool:
        return self._conversation is not None and self._conversation.ended

    @property
    def unused_seconds(self) -> float:
        return time.monotonic() - self._used

    @property
    def over_budget(self) -> bool:
        resident = self._conversation.resident() if self._conversation else 0
        return resident > self._kept.most_memory

    async def request(
        self, names: Sequence[str], function: str, read: Callable[[list[object]], T]
    ) -> T | None:
        """Return what ``read`` returns for the rows, one for each name; None for other output.

        ``read`` runs in a worker.
        Raises RequestFailed, OutOfTime, OutOfSpace, ProgramEnded, ProgramNotStarted.
        """
        printed = await self._exchange(names, function)
        self._used = time.monotonic()
        return await self._kept.workers.run(_read, self._response, printed, len(names), read)

    async def end(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            logger.bind(source=self._kept.evaluation.source, pid=conversation.pid).debug(
                "stopping a kept evaluator"
            )
            await conversation.end()

    @abstractmethod
    async def _exchange(self, names: Sequence[str], function: str) -> bytes:
        """Send a request to the process, which is started if necessary; return its output."""

    @abstractmethod
    @blocking
    def _response(self, printed: bytes) -> bytes | None:
        """Return the JSON of a response; None if there is not a complete one."""


@blocking
def _read(
    response: Callable[[bytes], bytes | None],
    printed: bytes,
    count: int,
    read: Callable[[list[object]], T],
) -> T | None:
    """Parse the rows, and return what ``read`` returns for them.  Raises RequestFailed."""
    document = response(printed)
    if document is None:
        raise RequestFailed
    rows = parse_rows(document, count)
    return None if rows is None else read(rows)

"""One process of ``nix repl``, for one revision of a package set."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from loguru import logger

from app.builder.nix.door import Evaluation
from app.builder.nix.programs.output import parse_rows
from app.builder.nix.programs.repl_protocol import Protocol
from app.builder.nix.programs.request import OUTPUT, subject
from app.system.blocking import blocking
from app.system.conversation import Conversation
from app.system.process import Limits
from app.system.workers import Workers

T = TypeVar("T")


class RequestFailed(Exception):
    """Nix reported an error at the prompt; the process is ready for the next request."""


class ReplSession:
    """Starts its process with the first request.  A caller of ``request`` holds ``busy``.

    ``most_memory`` is the resident memory, in bytes, beyond which the process is not kept.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        starts: Counter[str],
        most_memory: float,
        workers: Workers,
    ) -> None:
        self.busy = asyncio.Lock()
        self._evaluation = evaluation
        self._command = command
        self._environment = environment
        self._starts = starts
        self._most_memory = most_memory
        self._workers = workers
        self._protocol = Protocol(secrets.token_hex(16))
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
        return resident > self._most_memory

    async def request(self, text: bytes, count: int, read: Callable[[list[object]], T]) -> T | None:
        """Return what ``read`` returns for the response's rows; None if they are not ``count`` rows.

        ``read`` runs in a worker.
        Raises RequestFailed, OutOfTime, OutOfSpace, ProgramEnded.
        """
        if self._conversation is None:
            self._conversation = self._start()
            text = self._protocol.start(subject(self._evaluation)) + text
        printed = await self._conversation.request(text, until=self._protocol.end)
        self._used = time.monotonic()
        return await self._workers.run(_read, self._protocol, printed, count, read)

    async def end(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            logger.bind(source=self._evaluation.source, pid=conversation.pid).debug(
                "stopping a kept evaluator"
            )
            await conversation.end()

    def _start(self) -> Conversation:
        self._starts["evaluator"] += 1
        limits = Limits(
            seconds=self._evaluation.seconds, memory=self._evaluation.memory, output=OUTPUT
        )
        return Conversation(self._command, environment=self._environment, limits=limits)


@blocking
def _read(
    protocol: Protocol, printed: bytes, count: int, read: Callable[[list[object]], T]
) -> T | None:
    """Raises RequestFailed."""
    response = protocol.response(printed)
    if response is None:
        raise RequestFailed
    rows = parse_rows(response, count)
    return None if rows is None else read(rows)

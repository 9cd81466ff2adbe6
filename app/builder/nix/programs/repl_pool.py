"""Evaluators that stay: ``nix repl``, spoken to, each for one revision of a package set.

An evaluator is the fast way for questions that go well.  It is asked one question at a time.
An error that Nix reports at the prompt (abort, missing attribute, infinite recursion) leaves the
evaluator as it was: Nix restores what it was evaluating.  Anything else that is not a whole
answer ends the evaluator.  In both cases a process of its own has the message, unless the time
is used up.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from loguru import logger

from app.builder.nix.door import Evaluation
from app.builder.nix.programs import output as replies
from app.builder.nix.programs.repl_protocol import Dialogue, question
from app.builder.nix.programs.request import OUTPUT, options, subject, variables
from app.system.conversation import Conversation, ProgramEnded
from app.system.process import Limits, OutOfSpace

_MOST = 4
_IDLE_SECONDS = 300
# About what starting a process takes with a large package set: no use in waiting any longer.
_PATIENCE_SECONDS = 1
# The prompt echoes what is typed, some 0.1 ms for each name; starting a process is quicker
# where there are hundreds.
_LONGEST_QUESTION = 16 * 1024


class QuestionFailed(Exception):
    """Nix reported an error at the prompt; the evaluator is ready for the next question."""


class ReplPool:
    """``expressions`` is the directory with conversation.nix; ``settings`` are words for Nix.

    ``starts`` counts the processes as ``evaluator``.

    ``answered`` counts the questions answered, also by an error.
    """

    def __init__(
        self,
        *,
        expressions: Path,
        settings: Sequence[str],
        environment: Mapping[str, str],
        starts: Counter[str],
    ) -> None:
        self._expressions = expressions
        self._command = ("nix", "repl", "-I", f"nixery={expressions}", *settings)
        self._environment = environment
        self._starts = starts
        self.answered = 0
        self._kept: dict[Evaluation, ReplSession] = {}  # the longest unused first
        self._gone: list[ReplSession] = []  # to be ended
        self._sweeping: asyncio.Task[None] | None = None

    async def ask(
        self, evaluation: Evaluation, names: Sequence[str], function: str = "answer"
    ) -> list[object] | None:
        """One row for each name, as ``function`` of nix/conversation.nix returns them.

        Return None if the caller has to start a process of its own.

        Raises QuestionFailed, OutOfTime, ProgramMissing.
        """
        words = question(names, function)
        if evaluation.restricted or evaluation.revision is None or len(words) > _LONGEST_QUESTION:
            return None
        evaluator = await self._evaluator(evaluation)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await evaluator.busy.acquire()
        except TimeoutError:
            return None
        rows, usable = None, False
        try:
            if self._kept.get(evaluation) is evaluator:
                rows = _rows(await evaluator.ask(words), len(names))
                usable = rows is not None
        except QuestionFailed:
            usable = True
            raise
        except (OutOfSpace, ProgramEnded):
            pass
        finally:
            evaluator.busy.release()
            if not usable or evaluator.spent:
                self._drop(evaluation, evaluator)
            if self._kept.get(evaluation) is not evaluator:
                await evaluator.end()
        self.answered += usable
        return rows

    async def forget(self) -> None:
        """What they believe of the store has turned out to be wrong."""
        for evaluation, evaluator in tuple(self._kept.items()):
            self._drop(evaluation, evaluator)
        await self._end_gone()

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._gone += self._kept.values()
        self._kept.clear()
        await self._end_gone()

    async def _evaluator(self, evaluation: Evaluation) -> "ReplSession":
        """The evaluator, now the last used; the longest unused goes if there are too many."""
        evaluator = self._kept.pop(evaluation, None)
        if evaluator is not None and evaluator.ended:
            self._gone.append(evaluator)
            evaluator = None
        if evaluator is None:
            evaluator = ReplSession(
                evaluation,
                (*self._command, *options(evaluation, self._expressions)),
                {**self._environment, **variables(evaluation, self._expressions)},
                self._starts,
            )
        self._kept[evaluation] = evaluator
        for other, one in tuple(self._kept.items())[:-_MOST]:
            self._drop(other, one)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())
        await self._end_gone()
        return evaluator

    async def _sweep(self) -> None:
        """End what nobody has used for long, as long as there is any."""
        while self._kept:
            await asyncio.sleep(_IDLE_SECONDS / 10)
            for evaluation, evaluator in tuple(self._kept.items()):
                if not evaluator.busy.locked() and evaluator.unused_seconds > _IDLE_SECONDS:
                    self._drop(evaluation, evaluator)
            await self._end_gone()

    def _drop(self, evaluation: Evaluation, evaluator: "ReplSession") -> None:
        """From now on nobody asks it; one that is being asked is ended by whoever asks."""
        if self._kept.get(evaluation) is evaluator:
            del self._kept[evaluation]
            if not evaluator.busy.locked():
                self._gone.append(evaluator)

    async def _end_gone(self) -> None:
        while self._gone:
            await self._gone.pop().end()


class ReplSession:
    """Whoever asks holds ``busy``.  It starts when it is first asked."""

    def __init__(
        self,
        evaluation: Evaluation,
        command: Sequence[str],
        environment: Mapping[str, str],
        starts: Counter[str],
    ) -> None:
        self.busy = asyncio.Lock()
        self._evaluation = evaluation
        self._command = command
        self._environment = environment
        self._starts = starts
        self._dialogue = Dialogue(secrets.token_hex(16))
        self._conversation: Conversation | None = None
        self._used = time.monotonic()

    @property
    def ended(self) -> bool:
        return self._conversation is not None and self._conversation.ended

    @property
    def unused_seconds(self) -> float:
        return time.monotonic() - self._used

    @property
    def spent(self) -> bool:
        """All that are kept may hold as much memory together as one evaluation may use."""
        resident = self._conversation.resident() if self._conversation else 0
        return resident > self._evaluation.memory / _MOST

    async def ask(self, words: bytes) -> bytes:
        """The JSON.  Raises QuestionFailed, OutOfTime, OutOfSpace, ProgramEnded."""
        if self._conversation is None:
            self._conversation = self._start()
            words = self._dialogue.opening(subject(self._evaluation)) + words
        heard = await self._conversation.ask(words, until=self._dialogue.end)
        self._used = time.monotonic()
        answer = self._dialogue.answer(heard)
        if answer is None:
            raise QuestionFailed
        return answer

    async def end(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            logger.bind(source=self._evaluation.source, pid=conversation.pid).debug(
                "ends an evaluator"
            )
            await conversation.end()

    def _start(self) -> Conversation:
        self._starts["evaluator"] += 1
        limits = Limits(
            seconds=self._evaluation.seconds, memory=self._evaluation.memory, output=OUTPUT
        )
        return Conversation(self._command, environment=self._environment, limits=limits)


def _rows(answer: bytes, count: int) -> list[object] | None:
    try:
        rows = replies.document(answer)
    except ValueError:
        return None
    return rows if isinstance(rows, list) and len(rows) == count else None

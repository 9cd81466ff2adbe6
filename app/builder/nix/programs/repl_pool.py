"""Keep processes of Nix, each with one revision of a package set in memory.

A process of ``nix-instantiate`` writes no derivation files, and an error that Nix cannot catch ends
it.  A process of ``nix repl`` writes them.

A kept process responds in milliseconds, a new one in seconds.  It handles one request at
a time.  After an error that Nix reports at the prompt (abort, missing attribute, infinite
recursion) ``nix repl`` is as it was before: Nix restores the state of the evaluation.  After any
other incomplete response the process is stopped.  In both cases a new process is started for the
message, unless the time is used up.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from loguru import logger

from app.builder.nix.door import Evaluation
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.read_only_session import ReadOnlySession
from app.builder.nix.programs.repl_protocol import request
from app.builder.nix.programs.repl_session import ReplSession
from app.builder.nix.programs.request import READ_ONLY, options, variables
from app.builder.nix.programs.session import Kept, RequestFailed, Session
from app.system.cache import Cache
from app.system.conversation import ProgramEnded
from app.system.process import OutOfSpace
from app.system.workers import Workers

_MOST = 4
_IDLE_SECONDS = 300
# About as long as a new process takes with a large package set: waiting longer gains nothing.
_PATIENCE_SECONDS = 1
# Sets that do not evaluate in read-only mode are known for so many revisions.
_UNREADABLE = 1000
# The prompt echoes its input, which takes 0.1 ms for each name.  For hundreds of names a new
# process is faster.
_LONGEST_REQUEST = 16 * 1024

T = TypeVar("T")


class ReplPool:
    """The kept processes of all sources; beyond a bound the least recently used is stopped.

    ``expressions`` is the directory of conversation.nix; ``settings`` are arguments for Nix.
    ``starts`` counts the processes under ``evaluator``.  ``answered`` counts the responses, errors
    included.
    """

    def __init__(
        self,
        *,
        expressions: Path,
        settings: Sequence[str],
        configuration: NixConfiguration,
        starts: Counter[str],
        workers: Workers,
    ) -> None:
        self._expressions = expressions
        self._settings = tuple(settings)
        self._configuration = configuration
        self._starts = starts
        self._workers = workers
        self.answered = 0
        # The least recently used first.  Not a Cache: an evicted session has to be stopped.
        self._kept: dict[Evaluation, Session] = {}
        self._dropped: list[Session] = []  # to be stopped
        self._unreadable: Cache[tuple[str, str | None, str], bool] = Cache(_UNREADABLE)
        self._sweeping: asyncio.Task[None] | None = None

    async def request(
        self,
        evaluation: Evaluation,
        names: Sequence[str],
        read: Callable[[list[object]], T],
        function: str = "answer",
    ) -> T | None:
        """Return what ``read``, in a worker, makes of one row for each name.

        The rows are those of ``function`` in nix/conversation.nix.
        Return None if the caller has to start a new process.
        Raises RequestFailed, OutOfTime, ProgramNotStarted.
        """
        if evaluation.restricted or evaluation.revision is None:
            return None
        if not evaluation.read_only and len(request(names, function)) > _LONGEST_REQUEST:
            return None
        session = await self._session(evaluation)
        if not await _acquired(session.busy):
            return None
        result, usable = None, False
        try:
            if self._kept.get(evaluation) is session:
                result = await session.request(names, function, read)
                usable = result is not None
        except RequestFailed:
            usable = True
            raise
        except (OutOfSpace, ProgramEnded):
            self.set_unreadable(evaluation)
        except OSError as error:
            # A new process gets its request as an argument, and needs no file.
            logger.warning("a kept evaluator cannot be used: {}", error)
        finally:
            session.busy.release()
            if not usable or session.over_budget:
                self._drop(evaluation, session)
            if self._kept.get(evaluation) is not session:
                await session.end()
        self.answered += usable
        return result

    def running(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation of a kept process that can handle requests other than for packages.

        They make no derivations, so a read-only process serves as well.
        """
        read_only = replace(evaluation, read_only=True)
        return read_only if read_only in self._kept else evaluation

    def is_readable(self, evaluation: Evaluation) -> bool:
        """Return whether the results may be had without derivation files."""
        return evaluation.read_only and not self._unreadable.get(_key(evaluation))

    def set_unreadable(self, evaluation: Evaluation) -> None:
        """Remember for its revision that an evaluation fails, if it was a read-only one."""
        if evaluation.read_only:
            self._unreadable[_key(evaluation)] = True

    async def invalidate(self) -> None:
        """Stop all processes: their knowledge of the store is out of date."""
        for evaluation, session in tuple(self._kept.items()):
            self._drop(evaluation, session)
        await self._end_dropped()

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._dropped += self._kept.values()
        self._kept.clear()
        await self._end_dropped()

    async def _session(self, evaluation: Evaluation) -> Session:
        """Return the session of an evaluation, and stop the least recently used beyond the limit."""
        session = self._running(evaluation)
        if session is None:
            new = await self._new_session(evaluation)
            # Another request may have made one at the same time.
            session = self._running(evaluation) or new
        self._kept[evaluation] = session
        for other, one in tuple(self._kept.items())[:-_MOST]:
            self._drop(other, one)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())
        await self._end_dropped()
        return session

    def _running(self, evaluation: Evaluation) -> Session | None:
        """Take the session of an evaluation out, unless its process has exited."""
        session = self._kept.pop(evaluation, None)
        if session is not None and session.ended:
            self._dropped.append(session)
            return None
        return session

    async def _new_session(self, evaluation: Evaluation) -> Session:
        environment = await self._configuration.evaluation(restricted=evaluation.restricted)
        directory = await self._configuration.directory()
        kept = Kept(
            evaluation=evaluation,
            command=self._command(evaluation),
            environment={**environment, **variables(evaluation, self._expressions)},
            # All kept processes together may use as much as one evaluation.
            most_memory=evaluation.memory / _MOST,
            starts=self._starts,
            workers=self._workers,
        )
        return ReadOnlySession(kept, directory) if evaluation.read_only else ReplSession(kept)

    def _command(self, evaluation: Evaluation) -> tuple[str, ...]:
        expressions = self._expressions
        program = (
            (*READ_ONLY, str(expressions / "read-only.nix"))
            if evaluation.read_only
            else ("nix", "repl", "-I", f"nixery={expressions}")
        )
        return (*program, *self._settings, *options(evaluation, expressions))

    async def _sweep(self) -> None:
        """Stop idle processes until none is left."""
        while self._kept:
            await asyncio.sleep(_IDLE_SECONDS / 10)
            for evaluation, session in tuple(self._kept.items()):
                if not session.busy.locked() and session.unused_seconds > _IDLE_SECONDS:
                    self._drop(evaluation, session)
            await self._end_dropped()

    def _drop(self, evaluation: Evaluation, session: Session) -> None:
        """Give a session no new requests; the holder of a busy one stops it."""
        if self._kept.get(evaluation) is session:
            del self._kept[evaluation]
            if not session.busy.locked():
                self._dropped.append(session)

    async def _end_dropped(self) -> None:
        while self._dropped:
            await self._dropped.pop().end()


async def _acquired(busy: asyncio.Lock) -> bool:
    """Take the lock; return False if that takes too long."""
    if busy.locked():
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await busy.acquire()
        except TimeoutError:
            return False
    return await busy.acquire()


def _key(evaluation: Evaluation) -> tuple[str, str | None, str]:
    return evaluation.source, evaluation.revision, evaluation.system

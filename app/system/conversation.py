"""A program that is spoken to: it is told something and answers, again and again.

Whatever goes wrong between two answers leaves half of one behind, so nothing but ``end`` makes
sense afterwards; that is the caller's to do.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.system.process import Limits, OutOfSpace, OutOfTime, Program

_MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProgramEnded(Exception):
    """By itself, or by somebody's hand, without an answer."""


class Conversation:
    """With a program that it starts; from then on somebody must call ``end``.

    The limits hold for each answer, that of memory for the program.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], limits: Limits
    ) -> None:
        """Raises ProgramMissing."""
        self._limits = limits
        self._heard = bytearray()
        self._until = b""
        self._answered: asyncio.Future[None] | None = None
        self._program = Program(command, environment, limits, on_output=self._hear, spoken_to=True)

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def ended(self) -> bool:
        return self._program.exited.done()

    async def ask(self, words: bytes, *, until: bytes) -> bytes:
        """What it says on standard output, up to ``until``, which it says once.

        One at a time.  Raises OutOfTime, OutOfSpace, ProgramEnded.
        """
        self._heard.clear()
        self._until = until
        self._answered = asyncio.get_running_loop().create_future()
        self._program.say(words)
        awaited = (self._answered, self._program.overflow, self._program.exited)
        await asyncio.wait(
            awaited, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if self._answered.done():
            return bytes(self._heard)
        if self._program.overflow.done():
            raise OutOfSpace(f"{self._limits.output // _MIB} MiB of output", b"")
        if self.ended:
            raise ProgramEnded
        raise OutOfTime(f"{self._limits.seconds:g} s", b"")

    def resident(self) -> int:
        """Bytes of memory it occupies; none if it has ended."""
        if self.ended:
            return 0
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * _PAGE

    async def end(self) -> None:
        await self._program.stop()

    def _hear(self, chunk: bytes) -> None:
        begin = max(0, len(self._heard) - len(self._until) + 1)
        self._heard += chunk
        if (
            self._answered
            and not self._answered.done()
            and self._heard.find(self._until, begin) >= 0
        ):
            self._answered.set_result(None)

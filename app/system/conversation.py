"""A program that reads requests on standard input and writes responses on standard output.

After an error part of a response may still arrive, so the caller can only ``end`` the program.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from io import FileIO

from app.system.process import Limits, OutOfSpace, OutOfTime, Program
from app.text.size import MIB

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = 256  # longer than seven numbers


class ProgramEnded(Exception):
    """The program exited before its response was complete."""


class Conversation:
    """A program that it starts; the creator must call ``end``.

    The limits hold for each response, except memory, which is limited for the program.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], limits: Limits
    ) -> None:
        """Raise ProgramNotStarted."""
        self._limits = limits
        self._received = bytearray()
        self._until = b""
        self._responded: asyncio.Future[None] | None = None
        self._program = Program(
            command, environment, limits, on_output=self._receive, has_input=True
        )

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def ended(self) -> bool:
        return self._program.exited.done()

    async def request(self, request: bytes, *, until: bytes) -> bytes:
        """Return standard output up to ``until``, which each response ends with.

        Send one request at a time.  Raise OutOfTime, OutOfSpace, ProgramEnded.
        """
        self._received.clear()
        self._until = until
        self._responded = asyncio.get_running_loop().create_future()
        self._program.send(request)
        awaited = (self._responded, self._program.overflow, self._program.exited)
        await asyncio.wait(
            awaited, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if self._responded.done():
            return bytes(self._received)
        if self._program.overflow.done():
            raise OutOfSpace(f"{self._limits.output // MIB} MiB of output", b"")
        if self.ended:
            raise ProgramEnded
        raise OutOfTime(f"{self._limits.seconds:g} s", b"")

    def resident(self) -> int:
        """Return the bytes of memory that the program occupies; 0 after its exit."""
        if self.ended:
            return 0
        with FileIO(f"/proc/{self.pid}/statm") as file:
            return int(file.read(_STATM).split()[1]) * _PAGE

    async def end(self) -> None:
        await self._program.stop()

    def _receive(self, chunk: bytes) -> None:
        begin = max(0, len(self._received) - len(self._until) + 1)
        self._received += chunk
        if (
            self._responded
            and not self._responded.done()
            and self._received.find(self._until, begin) >= 0
        ):
            self._responded.set_result(None)

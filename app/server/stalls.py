"""Disconnect clients that send requests and do not read the responses.

uvicorn waits for such a client forever.  The kernel's keep-alive does not help, since the
client's kernel responds to it.
"""

import asyncio

STALL_SECONDS = 600.0


class StallTimer:
    """Abort the transport if its write buffer does not shrink for ``seconds`` while paused."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._check: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start when writing is paused, after which the buffer only shrinks."""
        self.stop()
        self._expect_less_than(self._transport.get_write_buffer_size())

    def stop(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _expect_less_than(self, size: int) -> None:
        self._check = self._loop.call_later(self._seconds, self._look, size)

    def _look(self, size: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left < size:
            self._expect_less_than(left)
        else:
            self._transport.abort()

"""A client that asks and does not read: uvicorn waits for it for ever.

Only the kernel's keep-alive would end such a connection, and a client that is alive and takes
nothing answers that.
"""

import asyncio

from app.heads import BoundedProtocol


class UnstalledProtocol(BoundedProtocol):
    """``stall_seconds``: a client that takes not one byte for so long is gone."""

    stall_seconds = 600.0
    _check: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_less_than(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._expect_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_no_more()
        super().connection_lost(exc)

    def _expect_less_than(self, size: int) -> None:
        # Nothing is written while writing is paused, so the buffer only shrinks.
        self._check = self.loop.call_later(self.stall_seconds, self._look, size)

    def _look(self, size: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < size:
            self._expect_less_than(left)
        else:
            self.transport.abort()

    def _expect_no_more(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

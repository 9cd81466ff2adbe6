"""A stream that a thread writes to: a reader that stalls delays no caller, for instance of a log."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

# Some 4,000 lines of a log: several seconds of a server with much to do.
_LIMIT = 1 << 20
# Between two pieces: a thread that wakes up for each line would interrupt the event loop.
_PAUSE_SECONDS = 0.005
# A pipe takes this many bytes in one piece, also from several processes.
_PIECE = select.PIPE_BUF


class BackgroundStream:
    """Text is written in order, whole calls of ``write`` at a time.

    At most ``limit`` bytes wait.  Text beyond is dropped, as is all that follows until some of the
    queue is written.  ``on_dropped`` is then called in the thread, with the number of lines dropped
    since its last call: what it writes takes the place of the dropped lines.  ``count_dropped``
    is called at once.  May be used by any thread.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        on_dropped: Callable[[int], None],
        count_dropped: Callable[[int], None] = lambda _: None,
        limit: int = _LIMIT,
    ) -> None:
        self._number = stream.fileno()
        self._is_terminal = stream.isatty()
        self._encoding = stream.encoding
        self._on_dropped = on_dropped
        self._count_dropped = count_dropped
        self._limit = limit
        self._queue: deque[bytes] = deque()
        self._size = 0  # of the queue and of the piece that is being written
        self._dropped = 0
        self._idle = False
        self._next_time = 0.0
        self._hurry = threading.Event()
        # Reentrant: Python may run a finalizer that writes here while the lock is held.
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, message: str) -> None:
        """Queue a message, or drop it.  Never waits for the reader."""
        data = message.encode(self._encoding, "backslashreplace")
        with self._changed:
            if self._has_room(len(data)):
                self._queue.append(data)
                self._size += len(data)
                if self._idle:
                    self._idle = False
                    self._changed.notify_all()
            else:
                self._drop(data)

    def flush(self) -> None:
        """Do nothing: callers of a stream's ``flush`` do not wait for the reader."""

    def isatty(self) -> bool:
        return self._is_terminal

    def drain(self, seconds: float) -> bool:
        """Wait until all text is written; return whether it is in time."""
        self._hurry.set()
        with self._changed:
            written = self._changed.wait_for(lambda: not self._size, seconds)
        self._hurry.clear()
        return written

    def _has_room(self, size: int) -> bool:
        if not self._size or threading.current_thread() is self._thread:
            return True
        return not self._dropped and self._size + size <= self._limit

    def _drop(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self._dropped += lines
        self._count_dropped(lines)

    def _run(self) -> None:
        while True:
            piece = self._next()
            try:
                self._put(piece)
            except OSError:  # no reader, or a full disk
                with self._changed:
                    self._drop(piece)
            else:
                self._report()
            self._next_time = time.monotonic() + _PAUSE_SECONDS
            with self._changed:
                self._size -= len(piece)
                self._changed.notify_all()

    def _next(self) -> bytes:
        with self._changed:
            while not self._queue:
                self._idle = True
                self._changed.wait()
            self._idle = False
        if self._size < _PIECE and (pause := self._next_time - time.monotonic()) > 0:
            self._hurry.wait(pause)
        with self._changed:
            taken = [self._queue.popleft()]
            size = len(taken[0])
            while self._queue and size + len(self._queue[0]) <= _PIECE:
                taken.append(self._queue.popleft())
                size += len(taken[-1])
        return b"".join(taken)

    def _put(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:  # another process made the file non-blocking
                poll = select.poll()
                poll.register(self._number, select.POLLOUT)
                poll.poll()

    def _report(self) -> None:
        """Report dropped lines while the queue counts as full, so that none comes before it."""
        if dropped := self._dropped:
            with suppress(Exception):
                self._on_dropped(dropped)
            with self._changed:
                self._dropped -= dropped

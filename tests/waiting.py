"""Waiting for a condition that a test can observe, with a deadline."""

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable

_SECONDS = 300.0  # as long as a build on a busy machine
_PAUSE = 0.01
# Time limits to try in turn where something must come before one of them: on a busy machine it may
# not come before the first.
LIMITS = (0.5, 5, 50)


async def until(condition: Callable[[], object], *, seconds: float = _SECONDS) -> None:
    """Let the event loop run until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        await asyncio.sleep(_PAUSE)


def wait_until(
    condition: Callable[[], object],
    *,
    seconds: float = _SECONDS,
    explain: Callable[[], str] = lambda: "",
) -> None:
    """Block until the condition holds; ``explain`` adds to the message if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold in time\n{explain()}"
        time.sleep(_PAUSE)


async def turns(number: int = 10) -> None:
    """Let the event loop turn; enough for tasks that wait for each other and for nothing else."""
    for _ in range(number):
        await asyncio.sleep(0)


def wait_until_full(client: socket.socket) -> None:
    """Block until the peer has filled the socket, or has sent all of a shorter response."""
    unread = [-1, 0]

    def is_full() -> bool:
        unread[:] = [unread[1], _unread(client)]
        return unread[1] > 0 and unread[0] == unread[1]

    wait_until(is_full)


def _unread(client: socket.socket) -> int:
    (number,) = struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, b"\0" * 4))
    return int(number)

"""Ports for programs that cannot choose one themselves."""

import itertools
import os
import random
import socket
from contextlib import suppress
from pathlib import Path

_FIRST, _NUMBER = 10_000, 20_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Where this process looks first, so that others look elsewhere.
_NUMBERS = itertools.count(random.Random(os.getpid()).randrange(_NUMBER))


def free_port() -> int:
    """Return a port that stays free until the program listens, where the kernel assigns others.

    One that the kernel assigned, and that was released, can be assigned to another program.
    """
    least = int(_RANGE.read_text().split()[0])
    for number in itertools.islice(_NUMBERS, _NUMBER):
        port = _FIRST + number % _NUMBER
        with suppress(OSError), socket.create_server(("", port)):
            if port < least or least <= _FIRST:
                return port
    raise AssertionError("no port is free")

"""Python's interpreter, which the event loop shares with threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The event loop gives the interpreter up at each system call, several times for a request.  Where
# a thread computes, as a comparison with all names of a package set does, each time costs the loop
# this wait; Python's own is 5 ms.
SWITCH_SECONDS = 0.001


@contextmanager
def switching_often() -> Iterator[None]:
    """Take the interpreter from a thread that computes after one millisecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)

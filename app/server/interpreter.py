"""Python's interpreter, which the event loop shares with threads."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The event loop gives the interpreter up at each system call, several times for a request.  Where
# a thread computes, as a comparison with all names of a package set does, each time costs the loop
# this wait; Python's own is 5 ms.
SWITCH_SECONDS = 0.001
# Of the collector's middle generation: Python's own number is 10.
_BETWEEN_FULL_COLLECTIONS = 50


@contextmanager
def switching_often() -> Iterator[None]:
    """Take the interpreter from a thread that computes after one millisecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def collect_rarely() -> None:
    """Call at the end of the start: what lives as long as the process is not traversed again.

    Python's collector keeps the interpreter while it traverses all objects, 30 to 90 ms while an
    image of 1,800 store paths is made, and does so five times.  Objects without cycles, which are
    nearly all, do not need it.
    """
    gc.collect()
    gc.freeze()
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, _BETWEEN_FULL_COLLECTIONS)

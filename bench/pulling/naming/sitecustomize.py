"""Give the threads of a measured server their names, by which the kernel counts CPU time.

Python imports this module if its directory is in ``PYTHONPATH``.  Under a real-time policy, which
ignores niceness, threads that the server gives a lower priority get one here.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

_LOWER = {"background", "compress"}


def _name(*_: object) -> None:
    """Run once in each new thread."""
    sys.setprofile(None)
    kind = threading.current_thread().name.rstrip("0123456789").rstrip("_-")
    thread = threading.get_native_id()
    with suppress(OSError):
        Path(f"/proc/self/task/{thread}/comm").write_text(kind[:15])
    if os.sched_getscheduler(thread) == os.SCHED_RR and kind in _LOWER:
        os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))


threading.setprofile(_name)

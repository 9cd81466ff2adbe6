"""Order things by their last use, also after the clock was set back.

A time that is still to come would keep its thing for as long as the clock was wrong, and everything
that is used now would count as older and be removed.
"""

import time
from pathlib import Path

from app.system.blocking import blocking

# Clocks of servers that share a directory differ a little.
_TOLERANCE_NS = 60 * 10**9


def order_of(used_ns: int) -> int:
    """Return the time for a sort by age; one that is still to come counts as the oldest."""
    return used_ns if used_ns <= time.time_ns() + _TOLERANCE_NS else 0


@blocking
def last_use(file: Path) -> int:
    """Return when a file was modified, as ``order_of`` has it; 0 for an absent one."""
    try:
        return order_of(file.stat().st_mtime_ns)
    except FileNotFoundError:
        return 0

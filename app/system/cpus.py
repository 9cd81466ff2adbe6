"""How many processors' worth of time this process may use, which a container has fewer of."""

import math
import os
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cpus(*, cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """At least one.  Part of a processor counts as one."""
    count = len(os.sched_getaffinity(0))
    return max(1, min(count, math.ceil(min(_quotas(cgroups, own), default=count))))


def _quotas(cgroups: Path, own: Path) -> list[float]:
    """Of our cgroup (version 2) and all above it, as far as they are seen and have any."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    groups = [PurePosixPath(line[3:]) for line in lines if line.startswith("0::/")]
    found = []
    for group in (above for each in groups for above in (each, *each.parents)):
        try:
            quota, period = (cgroups / group.relative_to("/") / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # no limit: "max"
    return found

"""How much processor time this process may use; a container may have less than its machine."""

import math
import os
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cpus(*, cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Return the number of processors, at least 1; part of a processor counts as one."""
    count = len(os.sched_getaffinity(0))
    return max(1, min(count, math.ceil(min(_quotas(cgroups, own), default=count))))


def _quotas(cgroups: Path, own: Path) -> list[float]:
    """Return the quotas of this process's cgroup (version 2) and of those above it."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    groups = [PurePosixPath(line[3:]) for line in lines if line.startswith("0::/")]
    quotas = []
    for group in (above for each in groups for above in (each, *each.parents)):
        try:
            quota, period = (cgroups / group.relative_to("/") / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # "max" means unlimited
    return quotas

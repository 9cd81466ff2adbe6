"""The same start for every measurement: nothing left to be written, and the archives in memory."""

import os
import time
from pathlib import Path

# Other programs always leave something to be written.
_QUIET = 4 << 20
_LONGEST_SECONDS = 60
_POLL_SECONDS = 0.1
_READ = 1 << 20


def settle(directory: Path) -> None:
    """Write everything to the disk, and read the files of ``directory`` into memory."""
    os.sync()
    end = time.monotonic() + _LONGEST_SECONDS
    while _unwritten() > _QUIET:
        if time.monotonic() > end:
            print("the disk has not settled: other programs write to it", flush=True)
            break
        time.sleep(_POLL_SECONDS)
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(_READ):
                    pass


def _unwritten() -> int:
    """Return the bytes of files that are not on the disk yet."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Dirty", "Writeback"))

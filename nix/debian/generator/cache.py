"""The cache directory, outside the source tree: everything in it can be made again."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nix.debian.generator.progress import report


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nixery" / "package-set"


@contextmanager
def exclusive(cache: Path) -> Iterator[None]:
    """Hold the lock of the cache; a second run waits, in place of downloading everything again."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "busy").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another run that is preparing packages")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The directory outside the tree for all that can be made again."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nix.debian.generator.progress import say


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nixery" / "package-set"


@contextmanager
def exclusive(cache: Path) -> Iterator[None]:
    """Two runs at once would download everything twice: the second waits."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "busy").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that is preparing packages")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Walk and remove directories of any depth.

``shutil.rmtree``, ``os.walk`` and ``Path.rglob`` call themselves for each level, and end with
RecursionError in a tree of a thousand levels.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.system.blocking import blocking

# Levels below a directory before the next one is moved up: the system refuses paths of 4,096 bytes.
_LEVELS = 16


@blocking
def remove_tree(directory: Path) -> None:
    """Remove a directory with all of its content, as far as possible; raise no OSError."""
    found = [(str(directory), 0)]
    for here, level in found:  # grows
        for entry in _entries(here):
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108  a Path for each file takes longer
                elif level < _LEVELS:
                    found.append((entry.path, level + 1))
                else:
                    moved = f"{directory}/{secrets.token_hex(16)}"
                    os.rename(entry.path, moved)  # noqa: PTH104  as above
                    found.append((moved, 1))
    for here, _ in reversed(found):
        with suppress(OSError):
            os.rmdir(here)  # noqa: PTH106  as above


@blocking
def files_below(directory: Path, *, levels: int | None = None) -> Iterator[Path]:
    """Yield what is not a directory, in no order; ``levels`` is how deep it may be.

    Directories that cannot be read count as empty.
    """
    waiting = [(str(directory), 1)]
    while waiting:
        here, level = waiting.pop()
        for entry in _entries(here):
            if not _is_directory(entry):
                yield Path(entry.path)
            elif levels is None or level < levels:
                waiting.append((entry.path, level + 1))


def _entries(directory: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False

"""Directories deeper than Python's limit of recursion, which pytest could not remove either."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path


@contextmanager
def deep(directory: Path, levels: int, *, within: Path | None = None) -> Iterator[Path]:
    """Make nested directories, each with a file; at the end remove ``within`` or the directory."""
    with removing(within or directory):
        directory.mkdir(parents=True)
        with chdir(directory):
            for _ in range(levels):
                Path("file").write_text("")
                Path("d").mkdir()
                os.chdir("d")  # their paths would be too long
        yield directory


@contextmanager
def removing(*directories: Path) -> Iterator[None]:
    """Remove the directories at the end, whatever they contain then."""
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", "--", *directories], check=True)

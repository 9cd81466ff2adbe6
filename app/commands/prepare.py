"""``nixery prepare``: makes the package set that comes with the server ready to be served."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.settings.expressions import EMBEDDED_PACKAGES


def command(options: Sequence[str], *, tree: Path = EMBEDDED_PACKAGES) -> list[str]:
    """Return the generator's command line; it needs nothing but Python's standard library."""
    return [sys.executable, str(tree / "generate.py"), "prepare", *options]


def prepare(options: Sequence[str]) -> None:
    """Replace this process by the generator, whose exit status is the command's own.

    Its output is the directory to serve.
    """
    words = command(options)
    os.execv(words[0], words)  # noqa: S606  # fixed program

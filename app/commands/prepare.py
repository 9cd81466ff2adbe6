"""``nixery prepare``: make the package set that comes with the server ready to be served."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.settings.expressions import EMBEDDED_PACKAGES


def command(
    *,
    full: Annotated[
        bool, typer.Option("--full", help="All of the packages, not only the small set.")
    ] = False,
) -> None:
    """Make the embedded packages ready: download them and put them into the Nix store.

    They come from this machine's Debian archive. Run it once; a server without other settings
    then serves them. Prints the directory to serve.
    """
    prepare(["--full"] if full else [])


def generator(options: Sequence[str], *, tree: Path = EMBEDDED_PACKAGES) -> list[str]:
    """Return the generator's command line; it needs Python's standard library only."""
    return [sys.executable, str(tree / "generate.py"), "prepare", *options]


def prepare(options: Sequence[str]) -> None:
    """Replace this process by the generator, whose exit status is the command's own."""
    words = generator(options)
    os.execv(words[0], words)  # noqa: S606  # fixed program

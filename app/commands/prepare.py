"""``nixery prepare``: put the embedded package set into the Nix store."""

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
        bool, typer.Option("--full", help="Prepare all packages, not only the small set.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Download the embedded packages and put them into the Nix store.

    The packages come from the Debian archive that this machine uses. Run this once; a server
    without other settings then serves them. Prints the directory of the package set.
    """
    prepare([*(["--full"] if full else []), *(["--json"] if as_json else [])])


def generator(options: Sequence[str], *, tree: Path = EMBEDDED_PACKAGES) -> list[str]:
    """Return the generator's command line; it needs only Python's standard library."""
    return [sys.executable, str(tree / "generate.py"), "prepare", *options]


def prepare(options: Sequence[str]) -> None:
    """Replace this process by the generator, whose exit status becomes the command's own."""
    argv = generator(options)
    os.execv(argv[0], argv)  # noqa: S606  # fixed program

"""Options of several verbs."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.store_path_list import channel_list
from app.commands.survey import WantedPaths
from app.settings.environment import process_environment

DEFAULT_CACHE = "https://cache.nixos.org"


def _output_file(output: Path | None) -> Path | None:
    """Reject an impossible file before hours of counting."""
    if output is not None and output.is_dir():
        raise typer.BadParameter(f"{output} is a directory")
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(f"directory {output.parent} does not exist")
    return output


Channel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Read the store paths that a channel publishes (nixos-unstable)."
    ),
]
StorePaths = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Read store paths from a file or URL, one a line, plain or .xz; - is standard input.",
    ),
]
Cache = Annotated[
    str,
    typer.Option(
        metavar="LOCATION",
        help="The binary cache: a URL or a directory. Without a list, all paths of a directory"
        " are read.",
    ),
]
Known = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where to keep narinfos read over HTTP. [default: narinfos.sqlite in the user's cache"
        " directory]",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        callback=_output_file,
        help="Write to this file. [default: standard output]",
    ),
]


def wanted_paths(
    *, channel: str | None, store_paths: str | None, cache: str, known: Path | None
) -> WantedPaths:
    """Return what the options of a command select.

    Raises typer.BadParameter for two lists, StorePathListInvalid.
    """
    if channel is not None and store_paths is not None:
        raise typer.BadParameter("only one of --channel and --store-paths can be given")
    return WantedPaths(
        cache=cache,
        listed_at=store_paths if channel is None else channel_list(channel),
        known=known or _cache_directory() / "narinfos.sqlite",
    )


def _cache_directory() -> Path:
    base = process_environment().get("XDG_CACHE_HOME")
    return Path(base) / "nixery" if base else Path.home() / ".cache" / "nixery"

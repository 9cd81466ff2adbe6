"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.store_path_list import channel_list
from app.commands.survey import DEFAULT_CACHE
from app.settings.environment import process_environment


def _output_file(output: Path | None) -> Path | None:
    """Check the place before hours of counting, not after."""
    if output is not None and output.is_dir():
        raise typer.BadParameter(f"{output} is a directory")
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {output.parent}")
    return output


def _cache_directory() -> Path:
    base = process_environment().get("XDG_CACHE_HOME")
    return Path(base) / "nixery" if base else Path.home() / ".cache" / "nixery"


Channel = Annotated[str | None, typer.Option(metavar="NAME", help="Such as nixos-unstable.")]
StorePaths = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="File or URL with a store path on each line, plain or .xz; - is standard input.",
    ),
]
Cache = Annotated[
    str,
    typer.Option(
        metavar="LOCATION", help="Binary cache: URL or directory; a directory needs no list."
    ),
]
Known = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where narinfos read over HTTP are kept (the user's cache)."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", callback=_output_file, help="Where to write, in place of standard output."
    ),
]
CACHE = DEFAULT_CACHE


def known_file(given: Path | None) -> Path:
    """Return where narinfos read over HTTP are kept: as given, or in the user's cache."""
    return given or _cache_directory() / "narinfos.sqlite"


def listing(channel: str | None, store_paths: str | None) -> str | None:
    """Return the location of a list of store paths; None for all that the cache has.

    Raises typer.BadParameter for two lists, StorePathListInvalid.
    """
    if channel is not None and store_paths is not None:
        raise typer.BadParameter("only one of --channel and --store-paths can be given")
    return store_paths if channel is None else channel_list(channel)

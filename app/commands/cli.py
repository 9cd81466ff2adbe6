"""The command line: ``nixery`` serves; subcommands prepare what it is given, or look after it."""

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from app.builder.images.layering.plan import Plan
from app.builder.nix.binary_cache.cache import NotABinaryCache
from app.builder.nix.binary_cache.fetch import FetchFailed
from app.builder.nix.binary_cache.known import KnownUnusable
from app.builder.nix.binary_cache.narinfo import NarInfoInvalid
from app.builder.nix.closure import StorePath
from app.commands.plan import plan_of_cache, plan_of_packages, plan_of_store
from app.commands.popcount import popcount
from app.commands.prepare import prepare
from app.commands.store_path_list import ListingUnusable, channel_list
from app.commands.survey import DEFAULT_CACHE
from app.commands.terminal import Line, Progress, write_answer
from app.commands.verify import NothingToVerify, Reading, verify
from app.errors import RegistryError
from app.settings.settings import SettingsError, load, surroundings
from app.telemetry.log import VERSION
from app.text.sanitize import visible

_EXPECTED = (
    FetchFailed,
    KnownUnusable,
    ListingUnusable,
    NarInfoInvalid,
    NotABinaryCache,
    NothingToVerify,
    OSError,
    RegistryError,
    SettingsError,
)
# What a shell says of a program that SIGINT ended.
_INTERRUPTED = 130


def run(words: Sequence[str], *, serve: Callable[[], None]) -> int:
    """The exit status: 1 for what went wrong or is wrong, and was said, 130 after Ctrl-C."""
    arguments = _parser().parse_args(words)
    if arguments.command in {None, "serve"}:
        try:
            serve()
        except KeyboardInterrupt:  # raised again when all has been stopped in order
            return _INTERRUPTED
        return 0
    try:
        status: int = arguments.run(arguments)
    except _EXPECTED as error:
        sys.stderr.write(f"nixery {arguments.command}: {visible(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; {arguments.stopped}\n")
        return _INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nixery",
        description="A container registry in which the image name is the recipe.",
        epilog="Without a command the registry is served; docs/configuration.md has its settings.",
    )
    parser.add_argument("--version", action="version", version=f"nixery {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="run the registry")
    _add_prepare(commands.add_parser("prepare", help="make the embedded packages ready"))
    _add_popcount(commands.add_parser("popcount", help="count references, as popularity data"))
    _add_plan(commands.add_parser("plan", help="learn which packages share a layer"))
    _add_verify(commands.add_parser("verify", help="find what is damaged in the storage"))
    return parser


def _add_prepare(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Downloads the packages that come with the server from this machine's Debian archive,"
        " puts them into the Nix store, and prints the directory to serve. Run it once; a server"
        " without other settings then serves them."
    )
    command.add_argument("--full", action="store_true", help="all of them, not only the small set")
    command.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    prepare(["--full"] if arguments.full else [])
    return 0


def _add_popcount(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Counts how often each package is referred to, and writes Nixery's popularity data."
        " What was read over HTTP is kept, so an interrupted count goes on where it stopped."
    )
    _add_cache(command, command.add_mutually_exclusive_group())
    command.set_defaults(run=_popcount)


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Learns from a whole package set which small packages occur in the same images, and"
        " writes a plan file for NIXERY_POPULARITY. The packages are those of a package set,"
        " as far as they are built here; store paths here; or what a binary cache has."
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "paths",
        metavar="STORE_PATH",
        nargs="*",
        default=[],
        type=store_path,
        help="in this machine's store",
    )
    what.add_argument(
        "--packages", metavar="DIRECTORY", type=Path, help="a package set that Nix can import"
    )
    command.add_argument(
        "--system",
        default=f"{platform.machine()}-linux",
        help="that the package set is for (%(default)s)",
    )
    _add_cache(command, what)
    command.set_defaults(run=_plan)


def _add_verify(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Reads every blob and manifest of the storage that the server's settings name, and prints"
        " a line for each that is not what its name says. Servers may run meanwhile. The exit"
        " status is 1 if there was any."
    )
    command.add_argument(
        "--delete",
        action="store_true",
        help="remove what is damaged; the next pull by tag makes it again, with the same digest",
    )
    command.set_defaults(run=_verify, stopped="what has been named is damaged")


def _add_cache(
    command: argparse.ArgumentParser, listing: "argparse._MutuallyExclusiveGroup"
) -> None:
    listing.add_argument("--channel", metavar="NAME", help="such as nixos-unstable")
    listing.add_argument(
        "--store-paths",
        metavar="LIST",
        help="file or URL with a store path on each line, plain or .xz; - is standard input",
    )
    command.add_argument(
        "--cache",
        metavar="LOCATION",
        default=DEFAULT_CACHE,
        help="binary cache: URL or directory; a directory needs no list (%(default)s)",
    )
    command.add_argument(
        "--known",
        metavar="FILE",
        type=Path,
        default=_cache_directory() / "narinfos.sqlite",
        help="where what was read over HTTP is kept (%(default)s)",
    )
    command.add_argument(
        "--output", metavar="FILE", type=output_file, help="where to write (standard output)"
    )
    command.set_defaults(stopped="the same command goes on from here")


def _popcount(arguments: argparse.Namespace) -> int:
    progress = Progress(sys.stderr)
    document = popcount(
        cache=arguments.cache,
        store_paths=_listing(arguments),
        known=arguments.known,
        report=progress,
    )
    progress.end()
    write_answer(document, arguments.output)
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.paths:
        plan = plan_of_store(arguments.paths)
    elif arguments.packages:
        plan, missing = plan_of_packages(arguments.packages, arguments.system)
        if missing:
            sys.stderr.write(f"left out, as they are not built: {missing} packages\n")
    else:
        progress = Progress(sys.stderr)
        plan = plan_of_cache(
            cache=arguments.cache,
            store_paths=_listing(arguments),
            known=arguments.known,
            report=progress,
        )
        progress.end()
    _write_plan(plan, arguments.output)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    line = Line(sys.stderr)

    def name(finding: str) -> None:
        line.clear()
        sys.stdout.write(f"{visible(finding)}\n")
        sys.stdout.flush()

    def report(reading: Reading) -> None:
        if line.is_due():
            rate = reading.size / line.elapsed / 1e6
            line.show(f"{reading.objects:,} of {reading.wanted:,} objects, {rate:,.0f} MB/s")

    reading = verify(load(), delete=arguments.delete, name=name, report=report)
    name(
        f"{reading.objects:,} objects with {reading.size:,} bytes read in {line.elapsed:.1f} s:"
        f" {reading.damaged:,} damaged"
        + (f", {reading.unread:,} could not be opened" if reading.unread else "")
    )
    return 1 if reading.damaged or reading.unread else 0


def _write_plan(plan: Plan, output: Path | None) -> None:
    cohorts = {entry.cohort for entry in plan.entries.values()} - {None}
    sys.stderr.write(f"{len(plan.entries)} packages, {len(cohorts)} cohorts: {plan.identity}\n")
    write_answer(plan.to_json(), output)


def _listing(arguments: argparse.Namespace) -> str | None:
    if arguments.channel is not None:
        return channel_list(arguments.channel)
    listing: str | None = arguments.store_paths
    return listing


def store_path(text: str) -> StorePath:
    """Named for argparse, which says "invalid store_path value"."""
    return StorePath.parse(text)


def output_file(text: str) -> Path:
    """Before hours of counting, not after.  Raises argparse.ArgumentTypeError."""
    output = Path(text)
    if output.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory")
    if not output.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {output.parent}")
    return output


def _cache_directory() -> Path:
    base = surroundings().get("XDG_CACHE_HOME")
    return Path(base) / "nixery" if base else Path.home() / ".cache" / "nixery"

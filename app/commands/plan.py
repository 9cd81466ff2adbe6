"""``nixery plan``: a plan file, from a package source, the local store or a binary cache."""

import asyncio
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.builder.evaluation.isolation import evaluate_apart
from app.builder.images.layering.cohorts import ClosureCyclic, learn_profile, unreferenced
from app.builder.images.layering.profile import LayerProfile
from app.builder.names.listing import list_names
from app.builder.nix.binary_cache.reading import Tally
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.door import Allowed, Evaluation, PackageSet
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.results import Found
from app.builder.nix.roots import TemporaryRootsDirectory
from app.commands.failures import reported_failures
from app.commands.options import (
    CACHE,
    Cache,
    Channel,
    Known,
    Output,
    StorePaths,
    known_file,
    listing,
)
from app.commands.store_path_list import ListingUnusable, nothing_found
from app.commands.survey import hash_parts, surveying
from app.commands.terminal import Progress, write_document
from app.settings.environment import process_environment
from app.settings.expressions import EXPRESSIONS
from app.system.process import child_environment
from app.system.workers import Workers

# All of nixpkgs takes minutes and a good part of this.
_SECONDS = 3600
_MEMORY = 32 << 30
_AT_ONCE = 1000


def _store_path(text: str) -> StorePath:
    try:
        return StorePath.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def command(
    paths: Annotated[
        list[StorePath] | None,
        typer.Argument(
            metavar="[STORE_PATH]...", parser=_store_path, help="In this machine's store."
        ),
    ] = None,
    *,
    packages: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="A package set that Nix can import."),
    ] = None,
    system: Annotated[
        str, typer.Option(help="The Nix system that the package set is for.")
    ] = f"{platform.machine()}-linux",
    channel: Channel = None,
    store_paths: StorePaths = None,
    cache: Cache = CACHE,
    known: Known = None,
    output: Output = None,
) -> None:
    """Learn from a package set which small packages occur in the same images.

    Writes a plan file for NIXERY_POPULARITY. The packages are those of a package set, as far as
    they are built here; store paths here; or what a binary cache has.
    """
    if sum(bool(given) for given in (paths, packages, channel, store_paths)) > 1:
        raise typer.BadParameter("give store paths, --packages, --channel or --store-paths")
    with reported_failures("plan", stopped="the same command goes on from here"):
        if paths:
            plan = plan_of_store(paths)
        elif packages:
            plan, missing = plan_of_packages(packages, system)
            if missing:
                sys.stderr.write(f"left out, as they are not built: {missing} packages\n")
        else:
            progress = Progress(sys.stderr)
            plan = plan_of_cache(
                cache=cache,
                store_paths=listing(channel, store_paths),
                known=known_file(known),
                report=progress,
            )
            progress.end()
        cohorts = {entry.cohort for entry in plan.entries.values()} - {None}
        sys.stderr.write(f"{len(plan.entries)} packages, {len(cohorts)} cohorts: {plan.identity}\n")
        write_document(plan.to_json(), output)


def plan_of_cache(
    *, cache: str, store_paths: str | None, known: Path, report: Callable[[Tally], None]
) -> LayerProfile:
    """Blocking.  From what a binary cache says of a list of paths, or of all it has.

    A list names more than is asked for, so that images are thought to be made of those paths
    that nothing refers to.  Raises what popcount raises.
    """
    with surveying(cache, known, report) as survey:
        wanted = hash_parts(survey, store_paths)
        closure = survey.reader.read_closure(wanted)
    if not len(closure):
        raise nothing_found(survey.cache.location, len(wanted))
    try:
        return learn_profile(closure, unreferenced(closure))
    except ClosureCyclic as error:
        raise ListingUnusable(f"{survey.cache.location} is damaged: {error}") from None


def plan_of_store(paths: Sequence[StorePath]) -> LayerProfile:
    """Blocking.  From the closure of paths in the local store, which is what images ask for.

    Raises RegistryError.
    """
    return learn_profile(asyncio.run(_closure(paths)), paths)


def plan_of_packages(directory: Path, system: str) -> tuple[LayerProfile, int]:
    """Blocking.  From those packages of a set that are built, and how many are not.

    Raises RegistryError, ListingUnusable.
    """
    if not directory.exists():
        raise ListingUnusable(f"there is no package set {directory}")
    outputs = asyncio.run(_outputs(directory.absolute(), system))
    built = [path for path in sorted(outputs) if Path(str(path)).exists()]
    if not built:
        raise ListingUnusable(
            f"none of the {len(outputs)} packages of {directory} is built: build some"
            " first, or give --cache and a list"
        )
    return plan_of_store(built), len(outputs) - len(built)


async def _closure(paths: Sequence[StorePath]) -> Closure:
    with tempfile.TemporaryDirectory() as home:
        return await _nix(Path(home)).closure(paths)


async def _outputs(directory: Path, system: str) -> frozenset[StorePath]:
    """What images would take of each package of the set."""
    evaluation = Evaluation(
        source=str(directory),
        package_set=PackageSet("path", str(directory)),
        system=system,
        allowed=Allowed(unfree=True, insecure=True, broken=True),
        restricted=False,
        seconds=_SECONDS,
        memory=_MEMORY,
    )
    found: set[StorePath] = set()
    with tempfile.TemporaryDirectory() as home:
        nix = _nix(Path(home))
        names = (await list_names(nix, evaluation)).candidates
        for start in range(0, len(names), _AT_ONCE):
            answers = await evaluate_apart(nix, evaluation, names[start : start + _AT_ONCE])
            found.update(answer.path for answer in answers if isinstance(answer, Found))
    return frozenset(found)


def _nix(home: Path) -> NixCommand:
    workers = Workers(1)
    return NixCommand(
        environment=child_environment(process_environment(), home=home),
        expressions=EXPRESSIONS,
        holds=TemporaryRootsDirectory(directory=home / "roots", workers=workers),
        workers=workers,
        options={},
    )

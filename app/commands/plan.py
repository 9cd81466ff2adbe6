"""``nixery plan``: write a layer plan from a package set, store paths or a binary cache."""

import asyncio
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from app.builder.evaluation.isolation import evaluate_apart
from app.builder.images.layering.cohorts import ClosureCyclic, learn_profile, unreferenced
from app.builder.images.layering.profile import LayerProfile
from app.builder.names.attribute_names import list_names
from app.builder.nix.binary_cache.reading import Tally
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.door import Allowed, Evaluation, PackageSet
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.results import Found
from app.builder.nix.roots import TemporaryRootsDirectory
from app.commands.failures import exit_on_errors
from app.commands.options import (
    DEFAULT_CACHE,
    Cache,
    Channel,
    Known,
    Output,
    StorePaths,
    wanted_paths,
)
from app.commands.standard_streams import report
from app.commands.store_path_list import StorePathListInvalid, nothing_found
from app.commands.survey import WantedPaths, open_survey
from app.commands.terminal import Progress, write_document
from app.settings.environment import process_environment
from app.settings.expressions import EXPRESSIONS
from app.system.blocking import blocking
from app.system.environment import child_environment
from app.system.workers import Workers
from app.wiring.nix import open_store

# Limits for an evaluation of all of nixpkgs, which takes minutes and much of this memory.
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
            metavar="STORE_PATH", parser=_store_path, help="Paths in this machine's store."
        ),
    ] = None,
    *,
    packages: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="A package set that Nix can import; packages that are not built are left out.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYSTEM",
            help="The Nix system of the package set; may be repeated. [default: this machine's]",
        ),
    ] = None,
    channel: Channel = None,
    store_paths: StorePaths = None,
    cache: Cache = DEFAULT_CACHE,
    known: Known = None,
    output: Output = None,
) -> None:
    """Learn which packages should share a layer, and write a layer plan.

    The plan is a file for NIXERY_PLAN. Give one input: store paths of this machine, a
    package set (--packages), or paths of a binary cache (--channel, --store-paths or --cache).
    """
    if sum(bool(given) for given in (paths, packages, channel, store_paths)) > 1:
        raise typer.BadParameter("give store paths, --packages, --channel or --store-paths")
    with exit_on_errors("plan", interrupted="run the same command again to continue"):
        if paths:
            plan = plan_of_store(paths)
        elif packages:
            plan, missing = plan_of_packages(packages, system or [f"{platform.machine()}-linux"])
            if missing:
                report(f"{missing} packages are not built, and are left out\n")
        else:
            progress = Progress(sys.stderr)
            wanted = wanted_paths(
                channel=channel, store_paths=store_paths, cache=cache, known=known
            )
            plan = plan_of_cache(wanted, progress)
            progress.end()
        cohorts = {entry.cohort for entry in plan.entries.values()} - {None}
        report(f"{len(plan.entries)} packages, {len(cohorts)} cohorts: {plan.identity}\n")
        write_document(plan.to_json(), output)


@blocking
def plan_of_cache(paths: WantedPaths, report: Callable[[Tally], None]) -> LayerProfile:
    """Learn from the narinfos of store paths.

    Paths without referrers are treated as the packages of images.  Raises the
    errors of ``popcount``.
    """
    with open_survey(paths, report) as survey:
        closure = survey.reader.read_closure(survey.wanted)
    if not len(closure):
        raise nothing_found(survey.location, len(survey.wanted))
    try:
        return learn_profile(closure, unreferenced(closure))
    except ClosureCyclic as error:
        raise StorePathListInvalid(f"{survey.location} is damaged: {error}") from None


@blocking
def plan_of_store(paths: Sequence[StorePath]) -> LayerProfile:
    """Learn from the closure of paths in the local store.  Raises RegistryError."""
    return learn_profile(asyncio.run(_closure(paths)), paths)


@blocking
def plan_of_packages(directory: Path, systems: Sequence[str]) -> tuple[LayerProfile, int]:
    """Learn from the built packages of a set, those of each system apart from the others.

    Also return how many are not built.

    Raises RegistryError, StorePathListInvalid.
    """
    if not directory.exists():
        raise StorePathListInvalid(f"package set {directory} does not exist")
    requested: list[Sequence[StorePath]] = []
    objects: dict[StorePath, StoreObject] = {}
    missing = 0
    for system in dict.fromkeys(systems):
        outputs = asyncio.run(_outputs(directory.absolute(), system, is_file=directory.is_file()))
        paths = sorted({*outputs.values()})
        built = [path for path in paths if Path(str(path)).exists()]
        if not built:
            raise StorePathListInvalid(
                f"none of the {len(outputs)} packages of {directory} for {system} is built; build"
                " some first, or give --cache and a list"
            )
        missing += len(paths) - len(built)
        closure = asyncio.run(_closure(built))
        requested.append(_requested(outputs, closure))
        objects.update(closure.objects)
    return learn_profile(Closure(objects.values()), *requested), missing


def _requested(outputs: Mapping[str, StorePath], closure: Closure) -> Sequence[StorePath]:
    """Return what images are probably made of.

    Of the packages in nested sets, those are left out that other packages use: users seldom
    request a library.
    """
    tops = {path for attribute, path in outputs.items() if "." not in attribute}
    return sorted({*unreferenced(closure), *(tops & closure.objects.keys())})


async def _closure(paths: Sequence[StorePath]) -> Closure:
    with tempfile.TemporaryDirectory() as home:
        async with _nix(Path(home)) as nix:
            return await open_store(nix).closure(paths)


async def _outputs(directory: Path, system: str, *, is_file: bool) -> Mapping[str, StorePath]:
    """Return the output that images would contain, by attribute, of each package of the set."""
    evaluation = Evaluation(
        source=str(directory),
        package_set=PackageSet("path", str(directory), is_file=is_file),
        system=system,
        allowed=Allowed(unfree=True, insecure=True, broken=True),
        restricted=False,
        seconds=_SECONDS,
        memory=_MEMORY,
    )
    found: dict[str, StorePath] = {}
    with tempfile.TemporaryDirectory() as home:
        async with _nix(Path(home)) as nix:
            names = (await list_names(nix, evaluation)).candidates
            read_only = replace(evaluation, read_only=True)
            for start in range(0, len(names), _AT_ONCE):
                results = await evaluate_apart(nix, read_only, names[start : start + _AT_ONCE])
                found.update((a.attribute, a.path) for a in results if isinstance(a, Found))
    return found


@asynccontextmanager
async def _nix(home: Path) -> AsyncIterator[NixCommand]:
    workers = Workers(1)
    nix = NixCommand(
        configuration=NixConfiguration(
            environment=child_environment(process_environment(), home=home),
            directory=home / "configuration",
            workers=workers,
        ),
        expressions=EXPRESSIONS,
        roots=TemporaryRootsDirectory(directory=home / "roots", workers=workers),
        workers=workers,
        options={},
    )
    try:
        yield nix
    finally:
        await nix.close()

"""The checks of ``nixery doctor``, each of one thing that the server needs."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from app.builder.nix.closure import STORE
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.installation import number_of
from app.builder.sources.definition import ChannelDefinition, PathDefinition
from app.builder.sources.opened import check_opened
from app.commands.cache_health import CacheHealth, caches_of, sample_paths
from app.commands.findings import Finding, Outcome, attempt, ok, problem, warning
from app.errors import OperatorError, RegistryError
from app.settings.environment import process_environment
from app.settings.sections.storage import FilesystemBackend
from app.settings.settings import Settings
from app.storage.memory import MemoryStorage
from app.system import state_directory
from app.system.blocking import blocking
from app.system.directory_trees import remove_tree
from app.system.environment import child_environment
from app.system.workers import Workers
from app.telemetry.measures import DiskSpace
from app.text.size import MIB
from app.wiring.nix import open_client, start_nix, trust_of
from app.wiring.services import load_profiles
from app.wiring.sources import open_sources
from app.wiring.storage import storage_of

_WORKERS = 4
_NIXPKGS_NIX = (2, 18)
_STORE_ADVICE = (
    "start Nix's daemon, and let this user connect to it (on Debian: group nix-users); or run this"
    " as the user that owns the store"
)
_SPACE_ADVICE = "free space, or use a larger disk"


@dataclass(frozen=True, slots=True)
class Checkup:
    """The parts of the server that are checked.

    ``nix`` may be missing; the checks report it.  ``state`` is the finding of the state directory.
    If that does not work, ``working`` are the settings with a temporary one.
    """

    settings: Settings
    working: Settings
    state: Finding
    nix: NixCommand
    stack: AsyncExitStack
    workers: Workers

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield each finding as soon as it is known."""
        yield await self._nix()
        yield await self._sandbox()
        for finding in await self._caches():
            yield finding
        yield await self._storage()
        yield self.state
        for finding in await self.workers.run(disks, self.settings):
            yield finding
        for finding in changed_by_server(self.settings):
            yield finding
        async for finding in self._sources():
            yield finding
        yield await self._plan()

    async def _nix(self) -> Finding:
        try:
            version = await self.nix.version()
        except RegistryError as error:
            return problem("nix", error.message, "install Nix 2.8 or later, and put it on PATH")
        try:
            await self.nix.check_store()
        except RegistryError as error:
            return problem("nix", error.message, _STORE_ADVICE)
        found = number_of(version)
        is_old = found is not None and found < _NIXPKGS_NIX
        channels = [d.name for d in self.settings.definitions if isinstance(d, ChannelDefinition)]
        if is_old and channels:
            wanted = ".".join(map(str, _NIXPKGS_NIX))
            return warning(
                "nix",
                f"{version} is too old for current nixpkgs of source {channels[0]}",
                f"install Nix {wanted} or later",
            )
        return ok("nix", version)

    async def _sandbox(self) -> Finding:
        try:
            is_on = await self.nix.sandboxed()
        except RegistryError as error:
            return problem("sandbox", error.message, "see the check of Nix")
        if is_on:
            return ok("sandbox", "builds run in Nix's sandbox")
        advice = "set `sandbox = true` in nix.conf, or `build = false` for the source"
        needing = [d.name for d in self.settings.definitions if d.needs_sandbox]
        if needing:
            return problem("sandbox", f"off, and source {needing[0]} is untrusted", advice)
        return warning("sandbox", "off: builds can read this machine's files", advice)

    async def _caches(self) -> list[Finding]:
        try:
            configuration = await self.nix.cache_configuration()
        except RegistryError as error:
            return [problem("cache", error.message, "see the check of Nix")]
        urls = caches_of(self.settings.definitions, configuration)
        health = CacheHealth(
            client=open_client(self.working, self.stack, configuration),
            trust=trust_of(configuration),
            now=lambda: datetime.now(UTC),
            store=await self.workers.run(sample_paths),
        )
        unused = [] if urls else [ok("cache", "the sources use no binary cache")]
        return [*unused, *await health.findings(urls)]

    async def _storage(self) -> Finding:
        backend = self.settings.backend
        place = backend.path if isinstance(backend, FilesystemBackend) else self.settings.storage

        async def work() -> None:
            storage = storage_of(self.settings)
            self.stack.push_async_callback(storage.close)
            await storage.start()
            await storage.check()

        advice = "see NIXERY_STORAGE and NIXERY_STORAGE_PATH in docs/configuration.md"
        return await attempt("storage", work, fine=f"{place} can be written", advice=advice)

    async def _sources(self) -> AsyncIterator[Finding]:
        sources = open_sources(
            self.working,
            self.stack,
            environment=_environment(self.working),
            storage=MemoryStorage(),
            workers=self.workers,
        )
        for check in sources.checks[:-1]:
            yield await attempt(check.name, check.run, fine="installed", advice="install it")
        for name, source in sources.by_name.items():
            system = self.settings.own_system
            open_one = partial(check_opened, source, system=system, workers=self.workers)
            kind = ", the default" if source is sources.default else ""
            yield await attempt(
                "source",
                open_one,
                fine=f"{name}{kind}: can be opened",
                advice=f"correct source {name} in the settings (docs/sources.md)",
            )

    async def _plan(self) -> Finding:
        try:
            profiles = await load_profiles(self.settings, MemoryStorage())
        except OperatorError as error:
            return problem("layers", str(error), "correct NIXERY_PLAN, or remove it")
        return ok("layers", f"the layer plan knows {profiles.names:,} package names")


@asynccontextmanager
async def open_checkup(settings: Settings) -> AsyncIterator[Checkup]:
    async with AsyncExitStack() as stack:
        workers = Workers(_WORKERS)
        state = await _state(settings, workers)
        working = settings
        if state.outcome is Outcome.PROBLEM:
            directory = await workers.run(partial(mkdtemp, prefix="nixery-"))
            stack.push_async_callback(workers.run, partial(remove_tree, Path(directory)))
            working = settings.model_copy(update={"state_path": Path(directory)})
        nix = await start_nix(working, stack, environment=_environment(working), workers=workers)
        yield Checkup(settings, working, state, nix, stack, workers)


async def _state(settings: Settings, workers: Workers) -> Finding:
    return await attempt(
        "state",
        partial(workers.run, state_directory.attempt, settings.state_path),
        fine=f"{settings.state_path} can be written",
        advice="make the directory of NIXERY_STATE_PATH writable",
    )


def changed_by_server(settings: Settings) -> Iterator[Finding]:
    """Report sources whose files the server itself writes: each pull would see a change."""
    written = {"NIXERY_STATE_PATH": settings.state_path}
    if isinstance(settings.backend, FilesystemBackend):
        written["NIXERY_STORAGE_PATH"] = settings.backend.path
    paths = [one for one in settings.definitions if isinstance(one, PathDefinition)]
    for source in paths:
        for variable, directory in written.items():
            if any(directory.is_relative_to(read) for read in (source.location, *source.reads)):
                message = f"{variable} is inside {source.name}: it always counts as being changed"
                yield problem("source", message, f"choose a directory outside {source.location}")


@blocking
def disks(settings: Settings) -> list[Finding]:
    """Return a finding for each disk that fills."""
    found = [_space("Nix store", Path(STORE), settings.store_free * MIB)]
    found.append(_space("state", settings.state_path, 0))
    if isinstance(settings.backend, FilesystemBackend):
        found.append(_space("storage", settings.backend.path, 0))
    return found


def _space(name: str, directory: Path, least: int) -> Finding:
    there = next((one for one in (directory, *directory.parents) if one.exists()), Path("/"))
    status = os.statvfs(there)
    space = DiskSpace(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)
    message = f"{name}, {directory}: {space}"
    if space.free < least:
        advice = f"{_SPACE_ADVICE}: with less than NIXERY_STORE_FREE, builds are stopped"
        return problem("disk", message, advice)
    if space.is_low or space.free < 2 * least:
        return warning("disk", message, _SPACE_ADVICE)
    return ok("disk", message)


def _environment(settings: Settings) -> dict[str, str]:
    return child_environment(process_environment(), home=settings.state_path / "home")

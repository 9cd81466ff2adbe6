"""Make store paths valid with ``nix-store --realise``.

A source that may not build passes output paths, which Nix can only substitute.  Other sources
pass derivations: Nix builds them if a substitute is missing or its signature is not trusted.

Nix also builds if a binary cache is down, which may rebuild everything from source.  So downloads
come first, without builders, and a cache that failed ends the attempt.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from loguru import logger

from app.builder.nix.closure import StorePath
from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs import path_info
from app.builder.nix.programs.build_log import BuildLog
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.derivation import read_outputs
from app.builder.nix.programs.diagnosis import (
    Attempt,
    failure,
    has_fault,
    ignored_signature,
    out_of_time,
)
from app.builder.nix.programs.keeping import valid_paths
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES, realising, substitution
from app.builder.nix.programs.store_size import StoreSize, StoreTooLarge
from app.builder.nix.roots import TemporaryRoots
from app.errors import BuildFailed, Unavailable
from app.system.blocking import blocking
from app.system.checks import Check, run_checked
from app.system.disk_space import DiskFull, DiskSpace
from app.system.process import Finished, Limits, OutOfSpace, OutOfTime
from app.system.workers import Workers

_GRACE_SECONDS = 10  # for Nix to stop its builders
_SIGNERS_SECONDS = 10
_SIGNERS_QUERIED = 3
_NOT_WRITTEN = "not written"


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """An output of a derivation, and the store path that its package claims."""

    derivation: str
    output: str
    path: str


class Realiser:
    """Runs single attempts of a realisation, within the limits of disk and store.

    ``options`` are arguments with the settings of Nix for every call.
    """

    def __init__(
        self,
        *,
        programs: Programs,
        configuration: NixConfiguration,
        workers: Workers,
        options: Sequence[str],
        space: DiskSpace,
        size: StoreSize,
    ) -> None:
        self._programs = programs
        self._configuration = configuration
        self._workers = workers
        self._options = options
        self._space = space
        self._size = size

    async def check_claims(self, wanted: Sequence[Wanted]) -> None:
        """Raise BuildFailed if a path is not an output of its derivation, where that is a file."""
        for one in wanted:
            if await self._workers.run(_path_of, one) not in {one.path, _NOT_WRITTEN}:
                raise BuildFailed(f"{one.derivation} has no output {one.output} at {one.path}")

    async def attempt(
        self,
        wanted: Sequence[Wanted],
        options: RealiseOptions,
        *,
        end: float,
        roots: TemporaryRoots,
        on_line: Callable[[str], None],
    ) -> None:
        """Make one attempt, until ``end`` of the monotonic clock.

        Outputs that are in the store already are realised however full it is.
        Raises BuildFailed, BuildTimedOut, PolicyRefused, DownloadFailed, StoreUnavailable,
        Unavailable.
        """
        paths = sorted({one.path for one in wanted})
        limits = await self._limits(paths)
        for step in _steps(options):
            log = BuildLog(on_line)
            try:
                finished = await run_checked(
                    partial(self._run, targets(wanted, options), step, log, end=end, roots=roots),
                    limits,
                )
            except OutOfTime:
                raise out_of_time(await self._inspect(log, paths, options, on_line)) from None
            except OutOfSpace as error:
                raise BuildFailed(f"the build log grew beyond {error.limit}") from None
            except DiskFull as error:
                raise _stopped(log, f"{error} (NIXERY_STORE_FREE)") from None
            except StoreTooLarge as error:
                raise _stopped(log, str(error)) from None
            if not finished.code and not log.fetches.unsigned:
                return
            if finished.code and step != options:
                missing = await self._missing(log, paths)
                ended = Attempt(options, log, paths, missing, signers={})
                if not has_fault(ended):
                    continue
            else:
                ended = await self._inspect(log, paths, options, on_line)
            if finished.code:
                raise failure(ended, finished)
            return

    async def _limits(self, paths: Sequence[str]) -> Sequence[Check]:
        """Return the checks of disk and store; none if all paths are valid already.

        Nix is asked for that only where a check would fail, or lists the whole store.
        """
        limits = (self._space.check, self._size.check)
        if not self._size.is_limited:
            with suppress(DiskFull):
                await self._space.check()
                return limits
        return limits if await self._invalid(paths) else ()

    async def _run(
        self,
        arguments: Sequence[str],
        options: RealiseOptions,
        log: BuildLog,
        *,
        end: float,
        roots: TemporaryRoots,
    ) -> Finished:
        return await self._programs.run(
            "realise",
            [
                *("nix-store", "--realise", *arguments, "--add-root", str(roots.next_root())),
                *("--log-format", "internal-json", *self._options),
                *substitution(options.substituters),
                *realising(options),
            ],
            Limits(seconds=max(end - time.monotonic(), 1), grace_seconds=_GRACE_SECONDS),
            on_line=log.feed,
            environment=await self._configuration.realisation(options),
        )

    async def _inspect(
        self,
        log: BuildLog,
        paths: Sequence[str],
        options: RealiseOptions,
        on_line: Callable[[str], None],
    ) -> Attempt:
        """Find the paths that are still missing, and log which signatures were ignored."""
        missing = await self._missing(log, paths)
        unsigned = log.fetches.unsigned
        signers: dict[str, tuple[str, ...]] = {}
        for path in sorted(unsigned, key=lambda path: path not in paths)[:_SIGNERS_QUERIED]:
            keys = await self._signers(path, unsigned[path])
            if keys is not None:
                signers[path] = keys
        ended = Attempt(options, log, paths, missing, signers)
        if ignored := ignored_signature(ended):
            on_line(f"warning: {ignored}")
            logger.bind(source=options.source).warning("a binary cache is ignored: {}", ignored)
        return ended

    async def _missing(self, log: BuildLog, paths: Sequence[str]) -> frozenset[str]:
        return await self._invalid(sorted({*paths, *log.fetches.started, *log.unknown}))

    async def _invalid(self, paths: Sequence[str]) -> frozenset[str]:
        """Return the paths that are not in the store; a build that failed may leave its output."""
        missing = frozenset(await self._workers.run(absent, paths))
        left = [StorePath.parse(path) for path in paths if path not in missing]
        valid = await valid_paths(self._programs, self._options, left)
        return missing.union(str(path) for path in left if path not in valid)

    async def _signers(self, path: str, cache: str) -> tuple[str, ...] | None:
        """Return the names of the keys, or None if the cache does not respond."""
        command = ["nix", "path-info", "--json", "--store", cache, path, *FEATURES, *self._options]
        try:
            finished = await self._programs.query("signatures", command, seconds=_SIGNERS_SECONDS)
            return await self._workers.run(path_info.signers, finished.stdout, path)
        except (Unavailable, ValueError):
            return None


def targets(wanted: Sequence[Wanted], options: RealiseOptions) -> list[str]:
    """Return output paths, which can only be substituted, for a source that may not build."""
    if options.build:
        return [f"{one.derivation}!{one.output}" for one in wanted]
    return sorted({one.path for one in wanted})


def _steps(options: RealiseOptions) -> tuple[RealiseOptions, ...]:
    """Return the options of each start of Nix, until one succeeds: downloads first, then builds."""
    if not options.build or options.substituters == ():
        return (options,)
    return replace(options, build=False), options


def _stopped(log: BuildLog, reason: str) -> Unavailable:
    building = f"stopped while building {log.building[0]}: " if log.building else ""
    return Unavailable(f"{building}{reason}")


@blocking
def absent(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not os.path.lexists(path)]


@blocking
def _path_of(wanted: Wanted) -> str | None:
    """Return the path of the output; None if the derivation has no such output."""
    try:
        return read_outputs(wanted.derivation).get(wanted.output)
    except FileNotFoundError:
        return _NOT_WRITTEN
    except (OSError, ValueError):
        return None

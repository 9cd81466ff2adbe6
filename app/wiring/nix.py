"""Nix, as the settings and this machine require it to be started."""

import grp
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from app.builder.nix.binary_cache.exchange import TransferOptions
from app.builder.nix.binary_cache.signatures import TrustedKeys
from app.builder.nix.closure import STORE
from app.builder.nix.door import NixEvaluator, NixRealiser
from app.builder.nix.programs.cache_configuration import CacheConfiguration
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.local_store import LocalStore
from app.builder.nix.programs.programs import Bounds
from app.builder.nix.roots import TemporaryRootsDirectory
from app.builder.nix.store import Store
from app.builder.nix.substitution.caches import Trust
from app.builder.nix.substitution.client import CacheClient
from app.builder.nix.substitution.nix import SubstitutingRealiser
from app.builder.nix.substitution.registry import RemotePaths
from app.builder.nix.substitution.store import SubstitutedStore
from app.errors import StoreUnavailable, Unavailable
from app.settings.expressions import EXPRESSIONS
from app.settings.settings import Settings
from app.system import state_directory
from app.system.retrying import Retries
from app.system.workers import Workers
from app.text.size import MIB

# Attempts of Nix itself to download one file; the whole build is retried as well.
_DOWNLOAD_ATTEMPTS = 2
# Of the time that packing may take, for paths that are packed while they are downloaded.
_DOWNLOAD_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class OpenNix:
    """The halves of Nix that the settings select.

    ``realiser`` makes paths valid in ``store``.
    """

    evaluator: NixEvaluator
    realiser: NixRealiser
    store: Store


async def open_nix(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    environment: Mapping[str, str],
    workers: Workers,
) -> NixCommand:
    """Open Nix for the configured sources.

    Raises StoreUnavailable; Unavailable if an untrusted source needs a sandbox.
    """
    nix = await start_nix(settings, stack, environment=environment, workers=workers)
    logger.info("using {}", await nix.version())
    await _require_sandbox(nix, settings)
    return nix


async def start_nix(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    environment: Mapping[str, str],
    workers: Workers,
) -> NixCommand:
    """Return Nix without a check whether it is installed and fits the settings."""
    roots = TemporaryRootsDirectory(directory=settings.state_path / "roots", workers=workers)
    configuration = NixConfiguration(
        environment=environment, directory=settings.state_path / "configuration", workers=workers
    )
    with state_directory.explained(settings.state_path):
        await workers.run(roots.sweep)
        await workers.run(configuration.sweep)
    nix = NixCommand(
        configuration=configuration,
        expressions=EXPRESSIONS,
        roots=roots,
        workers=workers,
        options=_options(settings),
        bounds=Bounds(
            store_seconds=settings.store_seconds,
            store_free=settings.store_free * MIB,
            store_size=settings.store_size * MIB,
            retries=Retries(settings.retries, settings.retry_seconds),
        ),
    )
    stack.push_async_callback(nix.close)
    return nix


def open_store(nix: NixCommand) -> LocalStore:
    return LocalStore(Path(STORE), query=nix.closure)


async def open_substitution(
    settings: Settings, stack: AsyncExitStack, *, nix: NixCommand
) -> OpenNix:
    """Put binary caches in front of the local store if the settings enable it.

    Raises Unavailable if Nix is not installed.
    """
    local = open_store(nix)
    if not settings.cache_streaming:
        return OpenNix(nix, nix, local)
    try:
        configuration = await nix.cache_configuration()
    except StoreUnavailable as error:
        logger.warning("{}: Nix downloads packages into its store first", error)
        return OpenNix(nix, nix, local)
    client = open_client(settings, stack, configuration)
    remotes = RemotePaths()
    realiser = SubstitutingRealiser(
        nix=nix,
        client=client,
        trust=trust_of(configuration),
        substituters=configuration.substituters if configuration.substitute else (),
        remotes=remotes,
        retries=Retries(settings.retries, settings.retry_seconds),
        # Before packing is stopped: a slow cache is a transient failure, and packing's is not.
        seconds=settings.packing_seconds * _DOWNLOAD_SHARE,
    )
    store = SubstitutedStore(
        local=local,
        remotes=remotes,
        client=client,
        directory=settings.state_path / "downloads",
        workers=settings.workers,
    )
    return OpenNix(nix, realiser, store)


def open_client(
    settings: Settings, stack: AsyncExitStack, configuration: CacheConfiguration
) -> CacheClient:
    client = CacheClient(
        TransferOptions(
            netrc=configuration.netrc_file,
            certificates=configuration.certificates,
            stall_seconds=settings.stall_seconds,
        )
    )
    stack.callback(client.close)
    return client


def trust_of(configuration: CacheConfiguration) -> Trust:
    keys = configuration.trusted_public_keys
    names = frozenset(key.partition(":")[0] for key in keys)
    return Trust(TrustedKeys(keys), names, required=configuration.require_signatures)


async def check_nix(nix: NixCommand) -> None:
    """Check that Nix has its store, for readiness.  Raises Unavailable, StoreUnavailable."""
    await nix.version()
    await nix.check_store()


def _options(settings: Settings) -> dict[str, str]:
    options = {
        "cores": str(settings.build_cores),
        "max-jobs": str(settings.build_jobs),
        "connect-timeout": str(settings.stall_seconds),
        "stalled-download-timeout": str(settings.stall_seconds),
        "download-attempts": str(_DOWNLOAD_ATTEMPTS),
        # Query a cache that lacked a path again as soon as the failure is forgotten.
        "narinfo-cache-negative-ttl": str(int(settings.failure_seconds)),
    }
    # Root without a daemon needs no build users, and Debian's Nix comes without the group.
    if os.geteuid() == 0:
        try:
            grp.getgrnam("nixbld")
        except KeyError:
            options["build-users-group"] = ""
    return options


async def _require_sandbox(nix: NixCommand, settings: Settings) -> None:
    needing = [definition.name for definition in settings.definitions if definition.needs_sandbox]
    if needing and not await nix.sandboxed():
        raise Unavailable(
            f"source {needing[0]} is untrusted and may build, but Nix's sandbox is off, so its"
            " builds could read this machine's files: set `sandbox = true` in nix.conf, or for"
            " the source `build = false` or, to build all the same, `build_unsandboxed = true`"
        )

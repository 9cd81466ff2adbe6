"""Settings into services: who is made of what, and in which order it is closed."""

import grp
import os
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from loguru import logger

from app.builder.builds.build import ImageBuilder, WorkQueues
from app.builder.builds.catalogue import Catalogue
from app.builder.builds.closures import Closures
from app.builder.builds.composer import Composer, Layering
from app.builder.builds.manifests import Manifests
from app.builder.builds.records import BuildRecords
from app.builder.builds.supply import Supplier
from app.builder.evaluation.evaluator import PackageEvaluator
from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.images.contents.file_trees import FileTrees
from app.builder.images.image import BuiltImage
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.images.profile_loading import load_profile
from app.builder.jobs.failures import FailureMemory
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.queues import WorkQueue
from app.builder.jobs.readiness import Check, Readiness
from app.builder.names.attributes import AttributeIndex
from app.builder.names.search import PackageSearch
from app.builder.nix.closure import STORE
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.local_store import LocalStore
from app.builder.nix.programs.programs import Bounds
from app.builder.nix.roots import TemporaryRootsDirectory
from app.builder.service import ImageService
from app.builder.sources.opened import check_opened
from app.builder.sources.opening import Sources
from app.errors import Unavailable
from app.settings.environment import process_environment
from app.settings.expressions import EXPRESSIONS
from app.settings.names import variables
from app.settings.settings import Settings
from app.state import About, AppState, WaitPolicy
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.system import state_directory as statedirectory
from app.system.process import child_environment
from app.system.retrying import Retries
from app.system.workers import Workers
from app.telemetry.log import VERSION
from app.text.sanitize import sentence
from app.wiring.storage import storage_of

_MIB = 1024 * 1024
_DOWNLOAD_ATTEMPTS = 2  # of one file, by Nix; then the whole realisation is tried again
_MANIFEST_BYTES = 64 << 20
_SHOWN_LIMIT = 300
_JOB_HISTORY = 200
_OUTCOMES = 10_000
_BRIEF = 8
_CHECK_SECONDS = 10
_CHECK_REMEMBERED_SECONDS = 15


async def assemble(settings: Settings, stack: AsyncExitStack) -> AppState:
    """What is opened is closed by the stack.  Raises RegistryError, for the operator to read."""
    started = datetime.now(UTC)
    storage = storage_of(settings)
    await storage.start()
    stack.push_async_callback(storage.close)
    # Apart from packing, where a thread is busy with a large path for seconds.
    workers = Workers(_BRIEF)
    plan = await load_profile(settings.popularity, storage) if settings.popularity else None
    holds = TemporaryRootsDirectory(directory=settings.state_path / "roots", workers=workers)
    await workers.run(holds.sweep)
    environment = child_environment(process_environment(), home=settings.state_path / "home")
    nix = NixCommand(
        environment=environment,
        expressions=EXPRESSIONS,
        holds=holds,
        workers=workers,
        options=_nix_options(settings),
        bounds=Bounds(
            store_seconds=settings.store_seconds,
            store_free=settings.store_free * _MIB,
            retries=Retries(settings.retries, settings.retry_seconds),
        ),
    )
    stack.push_async_callback(nix.close)
    logger.info("using {}", await nix.version())
    layering = Layering(
        plan=plan, budget=settings.layer_budget, codec=codec.find(settings.codec.value)
    )
    presence = BlobExistenceCache(storage)
    store = LocalStore(Path(STORE), query=nix.closure)
    packer = LayerPacker(
        storage=storage,
        presence=presence,
        workers=Workers(settings.workers),
        codec=layering.codec,
        store=store,
    )
    stack.push_async_callback(packer.close)
    builds = BuildRecords(storage=storage, presence=presence)
    blobs = BlobStore(storage)
    evaluation, stages = _evaluation(settings), _stages(settings)
    attributes = AttributeIndex(nix=nix, storage=storage, workers=workers)
    stack.push_async_callback(attributes.close)
    evaluator = PackageEvaluator(
        nix=nix,
        memory=EvaluationResultCache(storage=storage),
        stage=evaluation,
        is_listed=attributes.lists,
    )
    opener = Sources(
        directory=settings.state_path / "sources",
        environment=environment,
        storage=storage,
        workers=workers,
    )
    stack.push_async_callback(opener.close)
    sources = opener.open_all(settings.definitions)
    await _require_sandbox(nix, settings)
    default = next(source for source in sources.values() if source.definition.default)
    builder = ImageBuilder(
        nix=nix,
        evaluator=evaluator,
        supplier=Supplier(evaluator=evaluator, sources=sources, default=default),
        composer=Composer(
            packer=packer,
            file_trees=FileTrees(storage=storage, workers=workers, store=store),
            layering=layering,
            workers=workers,
        ),
        closures=Closures(storage=storage),
        builds=builds,
        blobs=blobs,
        stages=stages,
    )
    jobs: Jobs[BuiltImage] = Jobs(
        failures=FailureMemory(
            passing=min(settings.failure_seconds, 10),
            failed=settings.failure_seconds,
            unknown=max(settings.failure_seconds, settings.revision_seconds),
        ),
        result_seconds=0,
        remember=_OUTCOMES,
        history=_JOB_HISTORY,
    )
    # A single source needs no name, and its name might be a package's.
    named = sources if settings.sources else {}
    catalogue = Catalogue(storage=storage, sources=named.keys())
    stack.push_async_callback(catalogue.close)
    images = ImageService(
        jobs=jobs,
        builder=builder,
        attributes=attributes,
        catalogue=catalogue,
        sources=named,
        default=default,
        system=settings.system,
    )
    return AppState(
        images=images,
        builds=jobs,
        stages=(evaluation, stages.realisation, stages.packing),
        blobs=blobs,
        presence=presence,
        manifests=Manifests(blobs=blobs, budget=_MANIFEST_BYTES, lost=builds.lost_manifest),
        search=PackageSearch(
            attributes=attributes, sources=named, default=default, system=settings.system
        ),
        plan=plan,
        activity=lambda: _activity(nix, packer),
        readiness=Readiness(
            checks=(
                Check("storage", storage.check),
                Check("state", partial(workers.run, statedirectory.attempt, settings.state_path)),
                Check("nix", lambda: _nix_answers(nix)),
                *opener.checks(),
                Check(
                    "source",
                    partial(check_opened, default, system=settings.system, workers=workers),
                ),
            ),
            limit_seconds=_CHECK_SECONDS,
            remember_seconds=_CHECK_REMEMBERED_SECONDS,
        ),
        patience=WaitPolicy(
            hop_seconds=settings.redirect_seconds,
            hops=settings.redirects,
            hold_seconds=settings.hold_seconds,
        ),
        about=About(version=VERSION, started_at=started, settings=_shown(settings)),
        external_url=settings.external_url,
        catalog=settings.catalog,
        explain_not_found=settings.explain_not_found,
    )


def _activity(nix: NixCommand, packer: LayerPacker) -> dict[str, int]:
    activity = {f"nix.{kind}": count for kind, count in sorted(nix.starts.items())}
    activity["evaluators.answered"] = nix.evaluators.answered
    return activity | {f"packing.{name}": n for name, n in asdict(packer.counters).items()}


def _shown(settings: Settings) -> dict[str, str]:
    """By the variables' names, for anybody: without credentials, and of paths the last part."""
    return {
        variables(field)[0]: sentence(
            value.name if isinstance(value, Path) else _text(value), _SHOWN_LIMIT
        )
        for field, value in settings
        if value is not None
    }


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


async def _nix_answers(nix: NixCommand) -> None:
    await nix.version()


def _evaluation(settings: Settings) -> WorkQueue:
    return WorkQueue(
        "evaluation",
        at_once=settings.evaluations,
        waiting=settings.queue,
        share=settings.client_share,
        expected_seconds=2,
    )


def _stages(settings: Settings) -> WorkQueues:
    return WorkQueues(
        realisation=WorkQueue(
            "realisation",
            at_once=settings.builds,
            waiting=settings.queue,
            share=settings.client_share,
            expected_seconds=30,
        ),
        packing=WorkQueue(
            "packing",
            at_once=settings.packings,
            waiting=settings.queue,
            share=settings.client_share,
            expected_seconds=5,
        ),
        packing_seconds=settings.packing_seconds,
    )


async def _require_sandbox(nix: NixCommand, settings: Settings) -> None:
    """Raises Unavailable."""
    needing = [definition.name for definition in settings.definitions if definition.needs_sandbox]
    if needing and not await nix.sandboxed():
        raise Unavailable(
            f"source {needing[0]} is untrusted and may build, but Nix's sandbox is off, so its"
            " builds could read this machine's files: set `sandbox = true` in nix.conf, or for"
            " the source `build = false` or, to build all the same, `build_unsandboxed = true`"
        )


def _nix_options(settings: Settings) -> dict[str, str]:
    options = {
        "cores": str(settings.build_cores),
        "max-jobs": str(settings.build_jobs),
        "connect-timeout": str(settings.stall_seconds),
        "stalled-download-timeout": str(settings.stall_seconds),
        "download-attempts": str(_DOWNLOAD_ATTEMPTS),
        # A cache that lacks a path is asked again as soon as the failure is forgotten.
        "narinfo-cache-negative-ttl": str(int(settings.failure_seconds)),
    }
    # Root without a daemon needs no build users, and Debian's Nix comes without the group.
    if os.geteuid() == 0:
        try:
            grp.getgrnam("nixbld")
        except KeyError:
            options["build-users-group"] = ""
    return options

"""All services of one server, in the order in which they need each other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from anyio import to_thread

from app.builder.builds.layer_use import LayerUse
from app.builder.images.layering.choice import NO_PROFILES, LayerProfiles
from app.builder.images.profile_loading import load_profile, shipped_profiles
from app.builder.jobs.readiness import Check, Readiness
from app.builder.nix.programs.command import NixCommand
from app.request import ARCHITECTURES
from app.settings.environment import process_environment
from app.settings.expressions import PLANS
from app.settings.sections import layers
from app.settings.settings import Settings
from app.state import About, AppState, WaitPolicy
from app.storage.base import Storage
from app.system import state_directory
from app.system.environment import child_environment
from app.system.workers import Workers
from app.telemetry.log import VERSION
from app.wiring.images import open_images
from app.wiring.measures import observe_build, open_measures, open_traces
from app.wiring.nix import check_nix, open_nix, open_substitution
from app.wiring.shown import activity, shown_settings
from app.wiring.sources import OpenSources, open_sources
from app.wiring.storage import OpenStorage, open_storage

# Threads for short work; packing has threads of its own.
_WORKERS = 8
_CHECK_SECONDS = 10
_CHECK_REMEMBERED_SECONDS = 15


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[AppState]:
    """Open what the routes need; close it in the opposite order.

    Leaving cancels jobs that still run: drain them before.
    Raises RegistryError, OperatorError, with a message for the operator.
    """
    started = datetime.now(UTC)
    workers = Workers(_WORKERS)
    environment = child_environment(process_environment(), home=settings.state_path / "home")
    async with AsyncExitStack() as stack:
        stored = await open_storage(settings, stack)
        storage = stored.storage
        profiles = await load_profiles(settings, storage)
        nix = await open_nix(settings, stack, environment=environment, workers=workers)
        opened = await open_substitution(settings, stack, nix=nix)
        sources = open_sources(
            settings, stack, environment=environment, storage=storage, workers=workers
        )
        measures = open_measures(settings, stack, workers)
        images = open_images(
            settings,
            stack,
            nix=opened,
            stored=stored,
            sources=sources,
            workers=workers,
            profiles=profiles,
        )
        await images.service.recent.load()
        tracing = open_traces(settings, stack, workers)
        images.jobs.observe(partial(observe_build, measures, tracing))
        yield AppState(
            images=images.service,
            jobs=images.jobs,
            queues=images.queues,
            blobs=stored.blobs,
            existence=stored.existence,
            manifests=images.manifests,
            layer_use=LayerUse(manifests=images.manifests, recent=images.service.recent),
            search=images.search,
            activity=partial(activity, nix, images.packer),
            readiness=_readiness(settings, stored, nix, sources, workers),
            wait_policy=_wait_policy(settings),
            about=_about(settings, profiles, started),
            architecture=ARCHITECTURES[settings.own_system],
            external_url=settings.external_url,
            catalog=settings.catalog,
            explain_not_found=settings.explain_not_found,
            measures=measures,
            tracing=tracing,
            loop_share=images.loop_share,
        )


async def load_profiles(settings: Settings, storage: Storage) -> LayerProfiles:
    """Return the layer plans of the settings.  Raises ProfileUnavailable."""
    match settings.plan:
        case layers.SHIPPED:
            return await to_thread.run_sync(shipped_profiles, PLANS)
        case layers.NO_PLAN:
            return NO_PROFILES
        case source:
            return LayerProfiles.only(await load_profile(source, storage))


def _about(settings: Settings, profiles: LayerProfiles, started: datetime) -> About:
    return About(
        version=VERSION,
        started_at=started,
        settings=shown_settings(settings),
        plan=profiles.names,
    )


def _wait_policy(settings: Settings) -> WaitPolicy:
    return WaitPolicy(
        redirect_seconds=settings.redirect_seconds,
        redirects=settings.redirects,
        hold_seconds=settings.hold_seconds,
    )


def _readiness(
    settings: Settings,
    stored: OpenStorage,
    nix: NixCommand,
    sources: OpenSources,
    workers: Workers,
) -> Readiness:
    attempt = partial(workers.run, state_directory.attempt, settings.state_path)
    return Readiness(
        checks=(
            Check("storage", stored.storage.check),
            Check("state", attempt),
            Check("nix", partial(check_nix, nix)),
            *sources.checks,
        ),
        limit_seconds=_CHECK_SECONDS,
        remember_seconds=_CHECK_REMEMBERED_SECONDS,
    )

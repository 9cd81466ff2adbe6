"""The package sources that the settings define."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from app.builder.jobs.readiness import Check
from app.builder.sources.opened import check_opened
from app.builder.sources.opening import Sources
from app.builder.sources.source import Source
from app.settings.settings import Settings
from app.storage.base import Storage
from app.system.workers import Workers


@dataclass(frozen=True, slots=True)
class OpenSources:
    """The configured sources.

    ``by_component`` has those that the first component of an image name can choose.
    """

    by_name: Mapping[str, Source]
    by_component: Mapping[str, Source]
    default: Source
    checks: tuple[Check, ...]


def open_sources(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    environment: Mapping[str, str],
    storage: Storage,
    workers: Workers,
) -> OpenSources:
    opener = Sources(
        directory=settings.state_path / "sources",
        environment=environment,
        storage=storage,
        workers=workers,
    )
    stack.push_async_callback(opener.close)
    sources = opener.open_all(settings.definitions)
    default = next(source for source in sources.values() if source.definition.default)
    check = partial(check_opened, default, system=settings.own_system, workers=workers)
    return OpenSources(
        by_name=sources,
        # A single source needs no component, and its name may be that of a package.
        by_component=sources if settings.sources else {},
        default=default,
        checks=(*opener.checks(), Check("source", check)),
    )

"""A registry with the server's routes, storage in memory and tiny images."""

import math
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import State

from app.builder.builds.layer_use import LayerUse
from app.builder.builds.manifests import Manifests
from app.builder.images.image import Built
from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.queues import WorkQueue
from app.builder.jobs.readiness import Check, Readiness
from app.builder.names.search import FoundPackages
from app.errors import NameUnknown, StorageUnavailable
from app.reference import ImageReference
from app.routers.dependencies import provide
from app.routers.register import include_routers
from app.state import About, AppState, WaitPolicy
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.loop_share import LoopShare
from tests.api.images import PACKAGES, TinyImages

HISTORY = 20


@dataclass
class Registry:
    app: FastAPI
    state: AppState
    storage: MemoryStorage
    images: TinyImages
    problems: dict[str, str]
    jobs: Jobs[Built]
    blobs: BlobStore
    existence: BlobExistenceCache

    def change(self, **fields: object) -> None:
        """Replace services or settings, which are fixed in a server."""
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # any field
        provide(self.app, self.state)

    def pull(self, name: str, tag: str = "latest") -> Job[Built]:
        return self.images.pull(ImageReference.parse(name, tag), "127.0.0.1")

    def serve_by(self, application: FastAPI) -> None:
        """Replace the application, by another with the same services."""
        self.app = with_services(application, self.state)


def new_application(web_dir: Path | None = None) -> FastAPI:
    """Return the server's routes without services.

    The framework prepares each route before its first request.  That takes longer than most
    tests: share the application, by ``with_services``.
    """
    app = FastAPI(title="Nixery", version="1.2.3", docs_url=None, redoc_url=None)
    include_routers(app, web_dir=web_dir)
    app.middleware_stack = app.build_middleware_stack()
    return app


def with_services(application: FastAPI, state: AppState) -> FastAPI:
    """Return the same routes with these services."""
    app = copy(application)
    app.state = State()
    provide(app, state)
    return app


@cache
def shared_application() -> FastAPI:
    return new_application()


async def _search(text: str, limit: int, source: str | None, client: str) -> FoundPackages:
    if source not in (None, "tiny"):
        raise NameUnknown(f"no source is called {source}; there is tiny", {"sources": ["tiny"]})
    assert client
    last = text.rpartition("/")[2]
    return FoundPackages("tiny", tuple(sorted(name for name in PACKAGES if last in name))[:limit])


def new_registry(wait_policy: WaitPolicy) -> Registry:
    storage = MemoryStorage()
    blobs = BlobStore(storage)
    queue = WorkQueue("evaluation", at_once=2, waiting=3, expected_seconds=7)
    jobs = Jobs[Built](
        failures=FailureLifetimes(transient=5, failed=60, unknown=600),
        result_seconds=600,
        remember=100,
        history=HISTORY,
    )
    existence = BlobExistenceCache(storage)
    images = TinyImages(blobs=blobs, existence=existence, jobs=jobs, evaluation=queue)
    problems: dict[str, str] = {}

    async def check_storage() -> None:
        if problem := problems.get("storage"):
            raise StorageUnavailable(problem)

    manifests = Manifests(blobs=blobs, budget=1 << 20, lost=existence.invalidate)
    state = AppState(
        images=images,
        jobs=jobs,
        queues=(queue,),
        blobs=blobs,
        existence=existence,
        manifests=manifests,
        layer_use=LayerUse(manifests=manifests, recent=images.recent),
        search=_search,
        activity=lambda: {"nix.evaluate": len(images.builds)},
        readiness=Readiness(
            checks=(Check("storage", check_storage),), limit_seconds=1, remember_seconds=0
        ),
        wait_policy=wait_policy,
        about=About("1.2.3", datetime.now(UTC), {"NIXERY_CHANNEL": "nixos-25.05"}),
        architecture="amd64",
        external_url="",
        catalog=False,
        explain_not_found=True,
        loop_share=LoopShare(seconds=math.inf),  # whatever the speed of the machine
    )
    app = with_services(shared_application(), state)
    return Registry(app, state, storage, images, problems, jobs, blobs, existence)

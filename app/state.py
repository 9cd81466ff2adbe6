"""What lives as long as the process, as the routes see it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.builder.builds.manifests import Manifests
from app.builder.images.image import BuiltImage
from app.builder.images.layering.profile import LayerProfile
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.queues import WorkQueue
from app.builder.jobs.readiness import Readiness
from app.builder.names.search import FoundPackages
from app.reference import ImageReference, RepositoryName
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache


class Pull(Protocol):
    """An image that is built or is being built.

    ``identifier`` names the page of the build; ``stage`` describes the present work.
    """

    @property
    def identifier(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def stage(self) -> str: ...

    def result(self) -> BuiltImage | None:
        """Return None while the build runs.  Raises the error that ended it."""

    async def wait(self, seconds: float | None) -> BuiltImage | None:
        """Like ``result``, but wait for up to ``seconds``."""


class Images(Protocol):
    """Names into images."""

    def pull(self, reference: ImageReference, client: str) -> Pull:
        """Return at once; the tag is resolved by the server's own work.

        ``client`` is the address whose share of the queues the build may use.  Raises Draining
        and NameInvalid.
        """

    async def tags(self, name: RepositoryName) -> tuple[str, ...]:
        """Tags this repository may be pulled with; raises NameUnknown."""

    async def repositories(self) -> tuple[str, ...]:
        """Repositories with at least one finished build."""


class Search(Protocol):
    async def __call__(self, text: str, limit: int, source: str | None) -> FoundPackages:
        """Names that match the text or, of an image name, its last component.

        ``source`` is None for the one the text names, or else the default.  Raises NameUnknown
        if there is no such source.
        """


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long a request for an unbuilt image waits.

    It waits ``hop_seconds``, then is sent to itself, ``hops`` times at most; at the last hop
    clients without a limit of their own are held for ``hold_seconds``.
    """

    hop_seconds: float
    hops: int
    hold_seconds: float


@dataclass(frozen=True, slots=True)
class About:
    """``settings`` are shown to everyone: secrets are struck out before they come here."""

    version: str
    started_at: datetime
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AppState:
    """``external_url`` is the address people reach the server by, "" if nobody said.

    ``explain_not_found`` selects 403 for mistyped images where the client hides the text of a 404.
    ``plan`` is what the popularity data read at the start says, None where there is none;
    ``activity`` counts what was done since then, by names such as ``nix.evaluate``.
    """

    images: Images
    builds: Jobs[BuiltImage]
    stages: tuple[WorkQueue, ...]
    blobs: BlobStore
    presence: BlobExistenceCache
    manifests: Manifests
    search: Search
    plan: LayerProfile | None
    activity: Callable[[], Mapping[str, int]]
    readiness: Readiness
    patience: WaitPolicy
    about: About
    external_url: str
    catalog: bool
    explain_not_found: bool
    responses: Counter[int] = field(default_factory=Counter)

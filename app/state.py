"""The services that routes use, as protocols and small values."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from app.builder.builds.contents_record import ImagePackages
from app.builder.builds.layer_use import LayerUse
from app.builder.builds.manifests import Manifest
from app.builder.builds.preview import ImagePreview
from app.builder.builds.recent import RecentImages
from app.builder.images.image import Built
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import JobCounts
from app.builder.jobs.readiness import CheckResult
from app.builder.names.search import FoundPackages
from app.oci import Digest
from app.reference import ImageReference, RepositoryName
from app.storage.base import Location
from app.system.loop_share import LoopShare
from app.telemetry.measures import Measures
from app.telemetry.tracing import Tracing


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

    def result(self) -> Built | None:
        """Return None while the build runs.  Raises the error that ended it."""

    async def wait(self, seconds: float | None) -> Built | None:
        """Like ``result``, but wait for up to ``seconds``."""


class Images(Protocol):
    """Images by name and tag."""

    def pull(self, reference: ImageReference, client: str, architecture: str = "") -> Pull:
        """Return at once; the tag is resolved by the server's own work.

        ``client`` is the address whose share of the queues the build may use.  An index begins
        with ``architecture``, if that is one of its.  Raises Draining and NameInvalid.
        """

    async def built(self, reference: ImageReference) -> Built | None:
        """Return the image if it is built, as far as that is known without Nix and network.

        Raises NameInvalid.
        """

    def preview(self, reference: ImageReference, client: str) -> Job[ImagePreview]:
        """Return at once the job that finds out what a pull would take; nothing is built.

        Raises Draining and NameInvalid.
        """

    @property
    def recent(self) -> RecentImages: ...

    async def packages(self, manifest: Digest) -> ImagePackages:
        """Return what is recorded of an image's packages.  Raises StorageUnavailable."""

    async def tags(self, name: RepositoryName, *, after: str, most: int) -> tuple[str, ...]:
        """Return at most ``most`` tags that a client may pull and that sort after one, sorted.

        Raises NameUnknown.
        """

    async def repositories(self) -> tuple[str, ...]:
        """Return the repositories with at least one finished build."""


class Jobs(Protocol):
    """The builds of this process."""

    @property
    def counts(self) -> JobCounts: ...

    @property
    def running(self) -> Sequence[Job[Built]]:
        """The oldest first."""

    @property
    def finished(self) -> Sequence[Job[Built]]:
        """The latest first."""

    @property
    def draining(self) -> bool: ...

    def find(self, identifier: str) -> Job[Built] | None: ...

    async def drain(self, seconds: float) -> None:
        """Start no new jobs; cancel after ``seconds`` what still runs."""


class Queue(Protocol):
    """A queue of work, and how long it is."""

    @property
    def name(self) -> str: ...

    @property
    def active(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def retry_after(self) -> int:
        """Whole seconds until a request that is refused now may be admitted."""


class Blobs(Protocol):
    """The stored blobs."""

    async def locate(self, digest: Digest) -> Location:
        """Return where the blob is.  Raises BlobUnknown."""

    async def read(self, digest: Digest) -> bytes:
        """Return a small blob.  Raises BlobUnknown."""

    def open(self, digest: Digest) -> BinaryIO:
        """Return the blob as a stream; blocks.  Raises BlobUnknown."""


class BlobExistence(Protocol):
    """Which blobs are known to be stored."""

    def size(self, digest: Digest) -> int | None:
        """Return the number of bytes that the blob has to have, None if unknown."""

    def invalidate(self, digest: Digest) -> None:
        """Look in storage before the blob counts as stored again."""


class Manifests(Protocol):
    """The stored manifests."""

    async def read(self, digest: Digest) -> Manifest:
        """Return the stored manifest.  Raises ManifestUnknown."""


class Readiness(Protocol):
    """The checks of what the server needs."""

    async def results(self) -> Sequence[CheckResult]: ...


class Search(Protocol):
    """The search of package names."""

    async def __call__(
        self, text: str, limit: int, source: str | None, client: str
    ) -> FoundPackages:
        """Find names that match the text or, in an image name, its last component.

        Without ``source`` the text may name one; otherwise the default source is searched.
        Raises NameUnknown if the source does not exist.
        """


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long a request for an unbuilt image waits.

    After ``redirect_seconds`` it is redirected to itself, at most ``redirects`` times.  The last
    request of a client without a time limit for headers waits for ``hold_seconds``.
    """

    redirect_seconds: float
    redirects: int
    hold_seconds: float


@dataclass(slots=True)
class LiveStreams:
    """The clients that follow builds: at most ``limit``, of one address ``share``."""

    limit: int = 200
    share: int = 20
    _clients: Counter[str] = field(default_factory=Counter)

    def admits(self, client: str) -> bool:
        return self._clients.total() < self.limit and self._clients[client] < self.share

    @contextmanager
    def counted(self, client: str) -> Iterator[None]:
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]


@dataclass(frozen=True, slots=True)
class About:
    """Facts about this server, for ``/debug``.

    ``settings`` are public: they are without secrets.  ``plan`` counts the packages in the layer
    plans.  ``begun`` is a monotonic time: the machine's clock may be set while the server runs.
    """

    version: str
    started_at: datetime
    settings: Mapping[str, str]
    plan: int = 0
    begun: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Sent:
    """The number of bytes of response bodies since the start."""

    bytes: int = 0


@dataclass(frozen=True, slots=True)
class AppState:
    """All that routes use.

    ``external_url`` is the server's public address, "" if the settings have none.  ``architecture``
    is what clients get that accept no index.  ``explain_not_found`` selects 403 for mistyped images
    where the client hides the text of a 404.  ``activity`` returns counters since the start, by
    names such as ``nix.evaluate``.
    """

    images: Images
    jobs: Jobs
    queues: Sequence[Queue]
    blobs: Blobs
    existence: BlobExistence
    manifests: Manifests
    layer_use: LayerUse
    search: Search
    activity: Callable[[], Mapping[str, int]]
    readiness: Readiness
    wait_policy: WaitPolicy
    about: About
    architecture: str
    external_url: str
    catalog: bool
    explain_not_found: bool
    tracing: Tracing | None = None
    measures: Measures = field(default_factory=Measures)
    responses: Counter[int] = field(default_factory=Counter)
    sent: Sent = field(default_factory=Sent)
    streams: LiveStreams = field(default_factory=LiveStreams)
    loop_share: LoopShare = field(default_factory=LoopShare)

"""The paths that jobs download, and for how long."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.substitution.caches import Caches
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.system.blocking import blocking


@dataclass(frozen=True, slots=True)
class Remote:
    """A path that is packed from a binary cache."""

    offer: Offer
    caches: Caches
    policy: RetryPolicy


@dataclass(slots=True)
class Job:
    """The remote paths of one image.  ``announce`` is called with each new one."""

    remotes: dict[StorePath, Remote] = field(default_factory=dict)
    announce: Callable[[StorePath], None] | None = None

    @blocking
    def closure(self, paths: Iterable[StorePath]) -> tuple[list[StoreObject], set[StorePath]]:
        """Return the remote part of a closure, and the local paths that it leads to."""
        objects: dict[StorePath, StoreObject] = {}
        local: set[StorePath] = set()
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            remote = self.remotes.get(path)
            if remote is None:
                local.add(path)
            elif path not in objects:
                narinfo = remote.offer.substitute
                others = tuple(sorted(set(narinfo.references) - {path}))
                objects[path] = StoreObject(path, narinfo.nar_size, others, narinfo.nar_hash.hex())
                waiting += others
        return list(objects.values()), local


class RemotePaths:
    """The remote paths of all jobs.  A path that two jobs need is downloaded for each of them."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._current: ContextVar[Job | None] = ContextVar("job", default=None)

    @contextmanager
    def job(self) -> Iterator[Job]:
        """Open a job for the calling task; its paths are remote until the context ends."""
        job = Job()
        self._jobs.append(job)
        self._current.set(job)
        try:
            yield job
        finally:
            self._current.set(None)
            self._jobs.remove(job)

    @property
    def current(self) -> Job | None:
        return self._current.get()

    def get(self, path: StorePath) -> Remote | None:
        # Two jobs run at a time by default, so that a search costs little.
        return next((job.remotes[path] for job in self._jobs if path in job.remotes), None)

    def replace(self, path: StorePath, remote: Remote) -> None:
        """Read the path from another cache from now on."""
        for job in tuple(self._jobs):
            if path in job.remotes:
                job.remotes[path] = remote

    def add(self, job: Job, path: StorePath, remote: Remote) -> None:
        is_new = path not in job.remotes
        job.remotes[path] = remote
        if is_new and job.announce is not None:
            job.announce(path)


@blocking
def joined(remote: list[StoreObject], local: Closure | None) -> Closure:
    """Return one closure.  A path in both is described as on this machine."""
    objects = {item.path: item for item in remote}
    if local is not None:
        objects.update(local.objects)
    return Closure(objects.values())

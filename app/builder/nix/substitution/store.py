"""Store paths of this machine and of binary caches, read in one way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.nar import visit_archive
from app.builder.nix.store import Store, UnreadablePath, UnsupportedTree, VisitAgain, Visitor
from app.builder.nix.substitution.arrival import Arrival
from app.builder.nix.substitution.client import CONNECTIONS, CacheClient
from app.builder.nix.substitution.decoding import decoder
from app.builder.nix.substitution.download import Download, DownloadUnusable
from app.builder.nix.substitution.download_files import DownloadFiles
from app.builder.nix.substitution.names import RecordingVisitor, replay
from app.builder.nix.substitution.packing_order import PackingOrder, Turn
from app.builder.nix.substitution.registry import Job, Remote, RemotePaths, joined
from app.builder.nix.substitution.verifying import VerifiedArchive
from app.builder.nix.substitution.volume import Volume
from app.errors import DownloadFailed
from app.system import threads
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.workers import Workers

# Bytes of downloads that have not been packed.  They share the bandwidth: with more, all of them
# would end late, and packing would wait.  Small ones, whose time is mostly latency, have their own
# room, so that they do not wait until a large one is packed.
_SMALL = 4 << 20
_SMALL_VOLUME = 32 << 20
_LARGE_VOLUME = 32 << 20
# Large ones in progress, whatever their size, and at most.
_FEWEST_LARGE = 4
_MOST_LARGE = 8
# Names of packed paths, until their links are made.
_NAMES = 32 << 20
_BRIEF = 2


class SubstitutedStore:
    """A store of local and of remote paths.

    ``local`` reads this machine's paths, ``remotes`` are those of binary caches.  ``directory`` is
    for downloads in progress, which have no names there.  ``workers`` paths are packed at a time.
    """

    def __init__(
        self,
        *,
        local: Store,
        remotes: RemotePaths,
        client: CacheClient,
        directory: Path,
        workers: int,
    ) -> None:
        self._local = local
        self._remotes = remotes
        self._client = client
        self._files = DownloadFiles(directory)
        self._small = Volume(_SMALL_VOLUME, most=CONNECTIONS - _MOST_LARGE)
        self._large = Volume(_LARGE_VOLUME, least=_FEWEST_LARGE, most=_MOST_LARGE)
        self._order = PackingOrder(workers)
        self._downloads: dict[StorePath, Download] = {}
        self._names: Cache[StorePath, bytes] = Cache(_NAMES, size_of=len)
        # A closure of 3,000 paths takes 60 ms.
        self._brief = Workers(_BRIEF)

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """Return the closure of paths that this machine has, or that the job downloads."""
        job = self._remotes.current or Job()
        objects, local = await self._brief.run(job.closure, paths)
        here = await self._local.closure(sorted(local)) if local else None
        return await self._brief.run(joined, objects, here)

    @asynccontextmanager
    async def fetching(self, path: StorePath) -> AsyncIterator[None]:
        """Download the path if it is remote; begin when a visit would hardly have to wait."""
        remote = self._remotes.get(path)
        if remote is None or path in self._downloads:
            yield
            return
        size = remote.offer.size
        volume = self._small if size < _SMALL else self._large
        async with volume.reserve(size, work=remote.offer.substitute.nar_size):
            turn = Turn()
            download = self._start(remote, turn, asyncio.get_running_loop())
            self._downloads[path] = download
            try:
                async with self._order.turn(turn):
                    yield
            finally:
                del self._downloads[path]
                if not download.is_closed:
                    await threads.finish(download.close)

    @contextmanager
    def announcing(self, found: Callable[[StorePath], None]) -> Iterator[None]:
        """Call ``found`` with each path that the job is going to download."""
        job = self._remotes.current
        if job is None:
            yield
            return
        job.announce = found
        try:
            yield
        finally:
            job.announce = None

    @blocking
    def visit(self, path: StorePath, visitor: Visitor) -> None:
        """Visit a path on the disk or in its download.

        Raises UnreadablePath, UnsupportedTree, DownloadFailed, StorageUnavailable, Stopped.
        """
        remote = self._remotes.get(path)
        if remote is None:
            self._local.visit(path, visitor)
            return
        recording = RecordingVisitor(visitor)
        download = self._downloads.get(path)
        if download is not None and download.claim():
            self._read(remote, download, recording)
        else:
            self._download(remote, recording)
        if recording.recorded is not None:
            self._names[path] = recording.recorded

    @blocking
    def visit_names(self, path: StorePath, visitor: Visitor) -> None:
        """Do the same with files that cannot be opened, without downloading a packed path again."""
        recorded = self._names.get(path)
        if recorded is None:
            self.visit(path, visitor)
        else:
            replay(recorded, visitor)

    def _start(self, remote: Remote, turn: Turn, loop: asyncio.AbstractEventLoop) -> Download:
        size, nar_size = remote.offer.size, remote.offer.substitute.nar_size
        arrival = Arrival(size, nar_size)

        def on_progress(arrived: int | None) -> None:
            if turn.granted.is_set():
                return
            if arrived is None or arrival.is_due(arrived):
                loop.call_soon_threadsafe(self._order.grant, turn)
            else:
                turn.ready = arrived * nar_size // max(size, 1)
                if self._order.wants_more:
                    loop.call_soon_threadsafe(self._order.begin_early)

        download = Download(
            remote.caches.offers(remote.offer),
            files=self._files,
            policy=remote.policy,
            on_progress=on_progress,
        )
        download.start(self._client.start)
        return download

    @blocking
    def _download(self, remote: Remote, visitor: Visitor) -> None:
        """Read a path that was not announced, such as one whose files are read after packing."""
        download = Download(
            remote.caches.offers(remote.offer),
            files=self._files,
            policy=remote.policy,
            on_progress=lambda *_: None,
        )
        download.start(self._client.start)
        try:
            download.claim()
            self._read(remote, download, visitor)
        finally:
            download.close()

    def _read(self, remote: Remote, download: Download, visitor: Visitor) -> None:
        path = remote.offer.substitute.path
        try:
            self._visit(path, download, visitor)
        except (DownloadUnusable, UnreadablePath) as error:
            location = download.current.location
            if isinstance(error, DownloadUnusable):
                location = error.location
            failure = _failed(location, path, error)
            self._turn_to_next(remote, download, failure)
            raise failure from None

    def _turn_to_next(self, remote: Remote, download: Download, failure: DownloadFailed) -> None:
        """Raise VisitAgain if another cache has the same archive."""
        following = download.next_offer(self._client.start)
        if following is not None:
            remote.policy.on_retry(f"{failure.message}; {following.location} has it as well")
            self._remotes.replace(following.substitute.path, replace(remote, offer=following))
            raise VisitAgain(failure.message) from None

    def _visit(self, path: StorePath, download: Download, visitor: Visitor) -> None:
        download.wait()
        substitute = download.current.substitute
        source = decoder(substitute.compression, download.read)
        archive = VerifiedArchive(source, size=substitute.nar_size, digest=substitute.nar_hash)
        try:
            visit_archive(archive, path.base.encode(), visitor, limit=substitute.nar_size + 1)
        except UnsupportedTree:
            # The package is at fault only if these are its bytes.
            archive.finish()
            raise
        download.finish()


def _failed(location: str, path: StorePath, error: Exception) -> DownloadFailed:
    return DownloadFailed(
        f"{location} failed to send {path}: {error}", host=location, path=str(path)
    )

"""One archive of a binary cache, which is read while it is downloaded.

Reading and downloading do not wait for each other, so a slow reader does not idle the connection.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Protocol

from app.builder.nix.binary_cache.exchange import Exchange, RangeFailed, TransferFailed
from app.builder.nix.binary_cache.transfer_thread import Running, TransferThread
from app.builder.nix.substitution.download_buffer import DownloadBuffer
from app.builder.nix.substitution.download_files import DownloadFiles
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.system import threads
from app.system.blocking import blocking
from app.system.state_directory import translate_state_errors

# A reader checks in this interval whether its work was cancelled.
_CHECK_SECONDS = 0.2


class DownloadUnusable(Exception):
    """One line with the reason: the archive cannot be downloaded from ``location``."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(reason)
        self.location = location


class Offers(Protocol):
    """Binary caches that have an archive, in the order in which they are tried."""

    async def next(self) -> Offer | None:
        """Return the next cache's offer of the archive; None at the end."""

    def note_failure(self, offer: Offer) -> None:
        """Note that the cache did not send the archive, although it may have it."""


class Start(Protocol):
    """The function that submits a download to the thread of transfers."""

    def __call__(
        self, download: Callable[[TransferThread], Coroutine[None, None, None]], /
    ) -> Running[None]:
        """Begin a download in the thread of transfers."""


class Download:
    """A download in progress.

    ``offers`` are tried in order until the first byte has been read.  ``on_progress`` is called by
    the thread of transfers, with the number of bytes that can be read so far, or None at the end.
    """

    def __init__(
        self,
        offers: Offers,
        *,
        files: DownloadFiles,
        policy: RetryPolicy,
        on_progress: Callable[[int | None], None],
    ) -> None:
        self._offers = offers
        self._unused: Offer | None = None
        self._policy = policy
        self._on_progress = on_progress
        self._buffer = DownloadBuffer(files)
        self._changed = threading.Condition()
        self._size = 0
        self._position = 0
        self._digest = hashlib.sha256()
        self._ended = False
        self._is_claimed = False
        self._is_read = False
        self._error: BaseException | None = None
        self._running: Running[None] | None = None
        self.offer: Offer | None = None

    def start(self, submit: Start) -> None:
        """Begin; errors are raised by ``read`` and ``finish``."""
        self._running = running = submit(self._run)
        running.result.add_done_callback(self._end)

    @blocking
    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end.  Raises DownloadUnusable, StorageUnavailable."""
        with self._changed:
            threads.check()
            while self._position >= self._size and not self._ended:
                self._changed.wait(_CHECK_SECONDS)
                threads.check()
            if self._error is not None:
                raise self._error
            self._is_read = True
            left = self._size - self._position
        # Without the lock, for which all other downloads would wait.
        with translate_state_errors():
            part = self._buffer.read(min(size, left), self._position)
        self._position += len(part)
        self._digest.update(part)
        return part

    def claim(self) -> bool:
        """Return True to the one reader that the download is for."""
        with self._changed:
            is_first, self._is_claimed = not self._is_claimed, True
            return is_first

    @blocking
    def wait(self) -> None:
        """Wait for the first byte, after which the offer stays the same.  Raises as ``read`` does."""
        self.read(0)

    @blocking
    def finish(self) -> None:
        """Read the rest, and verify the file.  Raises what ``read`` does."""
        while self.read(1 << 20):
            pass
        wanted = self.current.substitute.file_hash
        if wanted is not None and self._digest.digest() != wanted:
            raise DownloadUnusable(self.current.location, "the file does not have its FileHash")

    @property
    def current(self) -> Offer:
        assert self.offer is not None
        return self.offer

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing to wait for, and no file to put back."""
        return self._ended and not self._buffer.has_file

    @blocking
    def close(self) -> None:
        """Cancel the download, wait until it has ended, and put the file back."""
        self._stop()
        self._buffer.close()

    @blocking
    def next_offer(self, submit: Start) -> Offer | None:
        """Cancel the download, and return the offer that would have been tried next."""
        self._stop()
        found = [self._unused]

        async def query(_: TransferThread) -> None:
            found[:] = [await self._offers.next()]

        if self._unused is None:
            submit(query).result.result()
        return found[0]

    def _stop(self) -> None:
        if self._running is None:
            return
        self._running.cancel()
        with self._changed:
            while not self._ended:
                self._changed.wait()

    def _end(self, result: Future[None]) -> None:
        with self._changed:
            self._error, self._ended = result.exception(), True
            self._changed.notify_all()
        self._on_progress(None)

    async def _run(self, transfers: TransferThread) -> None:
        first: DownloadUnusable | None = None
        with transfers.exchange() as exchange, translate_state_errors():
            while (offer := await self._next_offer()) is not None:
                try:
                    await self._fetch(offer, transfers, exchange)
                except TransferFailed as error:
                    first = first or DownloadUnusable(offer.location, str(error))
                    if error.transient:
                        self._offers.note_failure(offer)
                else:
                    self._buffer.finish()
                    self._show()
                    return
        assert first is not None
        raise first

    async def _next_offer(self) -> Offer | None:
        offer = await self._offers.next()
        if offer is None:
            return None
        with self._changed:
            if self._is_read:
                self._unused = offer
                return None
            self.offer, self._size = offer, 0
        self._buffer.clear()
        return offer

    async def _fetch(self, offer: Offer, transfers: TransferThread, exchange: Exchange) -> None:
        """Download the offer, and resume it after faults.  Raises TransferFailed, OSError."""
        wanted = offer.file_size
        failures, resumes = 0, True
        while True:
            before = self._buffer.size
            try:
                await self._attempt(offer, transfers, exchange, offset=before if resumes else 0)
                if wanted is None or self._buffer.size >= wanted:
                    break
                # Without a length the end of a connection is that of the file.
                raise _too_short(resumes=self._buffer.size > before)
            except TransferFailed as error:
                if self._buffer.size == wanted:
                    break  # the connection broke after the last byte
                failures = 1 if self._buffer.size > before else failures + 1
                # Otherwise what has arrived is received again, and skipped.
                resumes = resumes and not exchange.is_encoded and not isinstance(error, RangeFailed)
                await self._pause(offer, error, failures)
        if wanted is not None and self._buffer.size != wanted:
            raise TransferFailed("the file does not have its FileSize", transient=False)

    async def _attempt(
        self, offer: Offer, transfers: TransferThread, exchange: Exchange, *, offset: int
    ) -> None:
        buffer, most, end = self._buffer, offer.most, self._policy.end
        problem: TransferFailed | None = None

        def take(part: bytes | bytearray, start: int) -> bool:
            nonlocal problem
            received = buffer.size
            new = part[received - start :] if start < received else part
            if start > received:
                problem = RangeFailed("the server sent a range that was not requested")
            elif received + len(new) > most:
                problem = TransferFailed("the file is larger than its NarSize", transient=False)
            elif buffer.write(new):
                if time.monotonic() > end:
                    problem = TransferFailed("it takes longer than one image may", transient=False)
                self._show()
            return problem is None

        await transfers.get(
            exchange,
            offer.url,
            take,
            offset=offset,
            seconds=max(end - time.monotonic(), 1),
        )
        if problem is not None:
            raise problem

    def _show(self) -> None:
        """Let the reader have what was written."""
        size = self._buffer.readable
        with self._changed:
            self._size = size
            self._changed.notify_all()
        self._on_progress(size)

    async def _pause(self, offer: Offer, error: TransferFailed, failures: int) -> None:
        """Wait before the next attempt, or raise the error."""
        pause = self._policy.retries.pause(failures, error.retry_after)
        if not error.transient or pause is None or time.monotonic() + pause > self._policy.end:
            raise error
        self._policy.on_retry(
            f"{offer.location} failed to send {offer.substitute.path}: {error};"
            f" another attempt follows in {pause:g} s"
        )
        await asyncio.sleep(pause)


def _too_short(*, resumes: bool) -> TransferFailed:
    """Return the error of a file that is smaller than its narinfo states."""
    reason = "the file does not have its FileSize"
    return TransferFailed(reason, transient=True) if resumes else RangeFailed(reason)

"""One archive of a binary cache, written to a file that is read while it grows.

Reading and downloading do not wait for each other, so a slow reader does not idle the connection.
"""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO, cast

from app.builder.nix.binary_cache.transfer import Transfer, TransferFailed, TransferStopped
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.system import threads
from app.system.blocking import blocking
from app.system.state_directory import translate_state_errors

# A reader checks in this interval whether its work was cancelled.
_CHECK_SECONDS = 0.2
# libcurl hands over 16 KiB at a time: written one by one, they would cost most of a download's CPU.
_TOGETHER = 256 * 1024


class DownloadUnusable(Exception):
    """One line with the reason: the archive cannot be downloaded from ``location``."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(reason)
        self.location = location


class Download:
    """``offers`` are tried in order until the first byte has been read.

    ``on_progress`` is called by the downloading thread, with the number of bytes written so far, or
    None at the end.
    """

    def __init__(
        self,
        offers: Iterable[Offer],
        *,
        directory: Path,
        policy: RetryPolicy,
        on_progress: Callable[[int | None], None],
    ) -> None:
        self._offers = iter(offers)
        self._unused: Offer | None = None
        self._policy = policy
        self._on_progress = on_progress
        self._directory = directory
        self._file: BinaryIO | None = None
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self._size = 0
        self._unwritten = bytearray()
        self._position = 0
        self._ended = False
        self._is_claimed = False
        self._is_read = False
        self._error: Exception | None = None
        self._running: Future[None] = Future()
        self.offer: Offer | None = None

    @blocking
    def run(self, transfer: Transfer) -> None:
        """Download the archive.  Errors are raised by ``read`` and ``finish``."""
        error: Exception | None = None
        try:
            with translate_state_errors():
                self._directory.mkdir(parents=True, exist_ok=True)
                # It has no name: nothing is left of it after a crash.
                self._file = _unnamed_file(self._directory)
            self._run(transfer)
        except Exception as raised:  # noqa: BLE001  raised where the archive is read
            error = raised
        self._end(error)

    @blocking
    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end.  Raises DownloadUnusable, StorageUnavailable."""
        with self._changed:
            while self._position >= self._size and not self._ended:
                threads.check()
                self._changed.wait(_CHECK_SECONDS)
            if self._error is not None:
                raise self._error
            self._is_read = True
            left = self._size - self._position
            part = os.pread(self._descriptor, min(size, left), self._position)
            self._position += len(part)
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
        """Wait for the end of the download.  Raises what ``read`` does."""
        while self.read(1 << 20):
            pass

    @property
    def current(self) -> Offer:
        assert self.offer is not None
        return self.offer

    @property
    def _descriptor(self) -> int:
        assert self._file is not None
        return self._file.fileno()

    def start(self, submit: Callable[[Callable[[Transfer], None]], Future[None]]) -> None:
        self._running = submit(self.run)
        self._running.add_done_callback(self._abandon)

    @blocking
    def close(self) -> None:
        """Cancel the download, wait until it has ended, and delete the file."""
        self._stop()
        if self._file is not None:
            self._file.close()

    @blocking
    def next_offer(self) -> Offer | None:
        """Cancel the download, and return the offer that would have been tried next."""
        self._stop()
        return self._unused or next(self._offers, None)

    def _stop(self) -> None:
        self._cancelled.set()
        self._running.cancel()
        with self._changed:
            while not self._ended:
                self._changed.wait()

    def _abandon(self, running: Future[None]) -> None:
        """End a download that was cancelled before a thread began it, or that none could begin."""
        if running.cancelled():
            self._end(TransferStopped())
        elif isinstance(error := running.exception(), Exception) and not self._ended:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()
        self._on_progress(None)

    def _run(self, transfer: Transfer) -> None:
        first: DownloadUnusable | None = None
        for offer in self._fresh_offers():
            if self._cancelled.is_set():
                raise TransferStopped
            try:
                with translate_state_errors():
                    self._fetch(offer, transfer)
            except TransferFailed as error:
                first = first or DownloadUnusable(offer.location, str(error))
            else:
                return
        assert first is not None
        raise first

    def _fresh_offers(self) -> Iterator[Offer]:
        for offer in self._offers:
            with self._changed:
                if self._is_read:
                    self._unused = offer
                    return
                self.offer, self._size = offer, 0
            os.ftruncate(self._descriptor, 0)
            yield offer

    def _fetch(self, offer: Offer, transfer: Transfer) -> None:
        """Raises TransferFailed, TransferStopped, OSError."""
        digest = hashlib.sha256()
        failures = 0
        while True:
            before = self._size
            try:
                self._attempt(offer, transfer, digest.update)
                break
            except TransferFailed as error:
                failures = 1 if self._size > before else failures + 1
                self._pause(offer, error, failures)
        wanted = offer.substitute
        if wanted.file_size is not None and self._size != wanted.file_size:
            raise TransferFailed("the file does not have its FileSize", transient=False)
        if wanted.file_hash is not None and digest.digest() != wanted.file_hash:
            raise TransferFailed("the file does not have its FileHash", transient=False)

    def _attempt(
        self, offer: Offer, transfer: Transfer, update: Callable[[bytearray], None]
    ) -> None:
        problem: TransferFailed | None = None

        def take(part: bytes, start: int) -> bool:
            nonlocal problem
            received = self._size + len(self._unwritten)
            new = part[received - start :] if start < received else part
            if time.monotonic() > self._policy.end:
                problem = TransferFailed("it takes longer than one image may", transient=False)
            elif start > received:
                problem = TransferFailed("a range that was not requested", transient=True)
            elif received + len(new) > offer.most:
                problem = TransferFailed("the file is larger than its NarSize", transient=False)
            else:
                self._unwritten.extend(new)
                if len(self._unwritten) >= _TOGETHER:
                    self._write(update)
            return problem is None

        try:
            transfer.get(
                offer.url,
                take,
                offset=self._size,
                seconds=max(self._policy.end - time.monotonic(), 1),
                is_cancelled=self._cancelled.is_set,
            )
        finally:
            self._write(update)
        if problem is not None:
            raise problem

    def _write(self, update: Callable[[bytearray], None]) -> None:
        if not self._unwritten:
            return
        # Not copied: that would take a fiftieth of the CPU time of a first pull.
        data, self._unwritten = self._unwritten, bytearray()
        update(data)
        left, position = memoryview(data), self._size
        while left:
            count = os.pwrite(self._descriptor, left, position)
            left, position = left[count:], position + count
        with self._changed:
            self._size = position
            self._changed.notify_all()
        self._on_progress(position)

    def _pause(self, offer: Offer, error: TransferFailed, failures: int) -> None:
        """Wait before the next attempt, or raise the error."""
        pause = self._policy.retries.pause(failures, error.retry_after)
        if not error.transient or pause is None or time.monotonic() + pause > self._policy.end:
            raise error
        self._policy.on_retry(
            f"{offer.location} failed to send {offer.substitute.path}: {error};"
            f" another attempt follows in {pause:g} s"
        )
        if self._cancelled.wait(pause):
            raise TransferStopped


def _unnamed_file(directory: Path) -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(dir=directory, buffering=0))

"""Downloads that end before they begin, and readers that are cancelled."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from app.builder.nix.binary_cache.exchange import TransferOptions, TransferStopped
from app.builder.nix.binary_cache.transfer_thread import Running, TransferThread
from app.builder.nix.substitution.download import Download
from app.builder.nix.substitution.download_files import DownloadFiles
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.errors import Unavailable
from app.system import threads
from app.system.workers import Workers
from scripts.channel.server import Channel
from tests.contract.store_contract import A
from tests.unit.builder.nix.substitution.world import RETRIES, World, fill, opened
from tests.waiting import turns


class Failing:
    """Offers of caches whose narinfos cannot be made, as without memory."""

    async def next(self) -> Offer | None:
        raise MemoryError("no connection")

    def note_failure(self, offer: Offer) -> None:
        raise AssertionError(offer)


def make(directory: Path, progress: list[int | None]) -> Download:
    policy = RetryPolicy(retries=RETRIES, seconds=1, on_retry=lambda _: None)
    return Download(
        Failing(), files=DownloadFiles(directory), policy=policy, on_progress=progress.append
    )


def submit(
    transfers: TransferThread, work: Callable[[TransferThread], Coroutine[None, None, None]]
) -> Running[None]:
    return transfers.submit(lambda: work(transfers))


def test_an_error_of_the_thread_is_raised_to_the_reader(tmp_path: Path) -> None:
    progress: list[int | None] = []
    transfers = TransferThread(TransferOptions(), connections=1)
    download = make(tmp_path, progress)

    download.start(lambda work: submit(transfers, work))

    with pytest.raises(MemoryError):
        download.read(1)
    download.close()
    assert progress == [None]
    transfers.close()


def test_without_a_thread_work_is_refused_until_one_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transfers = TransferThread(TransferOptions(), connections=1)

    async def work() -> int:
        return 42

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as system:
        system.setattr(threading.Thread, "start", none)
        for _ in range(2):
            with pytest.raises(Unavailable):
                transfers.submit(work)

    assert transfers.submit(work).result.result(300) == 42
    transfers.close()


def test_a_download_that_was_cancelled_before_its_turn_ends(tmp_path: Path) -> None:
    progress: list[int | None] = []
    transfers = TransferThread(TransferOptions(), connections=1)
    download = make(tmp_path, progress)

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    download.start(lambda _: transfers.submit(wait))
    download.close()

    assert progress == [None]
    with pytest.raises(TransferStopped):
        download.read(1)
    transfers.close()


def test_a_download_of_a_client_that_was_closed_ends(tmp_path: Path) -> None:
    progress: list[int | None] = []
    transfers = TransferThread(TransferOptions(), connections=1)
    transfers.close()
    download = make(tmp_path, progress)

    download.start(lambda work: submit(transfers, work))
    download.close()

    assert progress == [None]
    with pytest.raises(TransferStopped):
        download.read(1)


async def test_a_cancelled_reader_stops_although_the_next_bytes_are_there(tmp_path: Path) -> None:
    """Decompressing may take minutes without a byte of content, and waits for nothing."""
    cache = Channel(fill(tmp_path / "cache", {A: b"content"}))
    found: list[bytes | str] = []
    has_begun, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    with opened(World(tmp_path, [cache])) as world:
        await world.find(A)
        remote = world.job.remotes[A]
        download = Download(
            remote.caches.offers(remote.offer),
            files=DownloadFiles(tmp_path),
            policy=remote.policy,
            on_progress=lambda _: None,
        )
        download.start(world.client.start)

        def read() -> None:
            download.wait()
            loop.call_soon_threadsafe(has_begun.set)
            may_go_on.wait(60)
            try:
                found.append(download.read(1))
            except threads.Stopped:
                found.append("stopped")

        reading = asyncio.create_task(Workers(1).run(read))
        await has_begun.wait()
        reading.cancel()
        await turns()
        may_go_on.set()
        await asyncio.gather(reading, return_exceptions=True)
        download.close()

    assert found == ["stopped"]

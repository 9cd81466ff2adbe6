"""Downloads that no thread runs."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from app.builder.nix.binary_cache.transfer import TransferStopped
from app.builder.nix.substitution.download import Download
from app.builder.nix.substitution.retry_policy import RetryPolicy
from tests.unit.builder.nix.substitution.world import RETRIES


def make(directory: Path, progress: list[int | None]) -> Download:
    policy = RetryPolicy(retries=RETRIES, seconds=1, on_retry=lambda _: None)
    return Download((), directory=directory, policy=policy, on_progress=progress.append)


def test_an_error_of_the_thread_is_raised_to_the_reader(tmp_path: Path) -> None:
    """Such as libcurl's, if it cannot make a connection."""
    progress: list[int | None] = []
    download = make(tmp_path, progress)
    failed: Future[None] = Future()
    failed.set_exception(MemoryError("no connection"))

    download.start(lambda _: failed)

    assert progress == [None]
    with pytest.raises(MemoryError):
        download.read(1)
    download.close()


def test_a_download_that_was_cancelled_before_its_turn_ends(tmp_path: Path) -> None:
    progress: list[int | None] = []
    download = make(tmp_path, progress)
    waiting: Future[None] = Future()
    download.start(lambda _: waiting)

    download.close()

    assert waiting.cancelled()
    assert progress == [None]
    with pytest.raises(TransferStopped):
        download.read(1)

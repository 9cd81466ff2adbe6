"""A pool whose system allows a few threads only, as a limit of processes does."""

import threading
from collections.abc import Iterator

import pytest

from app.errors import Unavailable
from app.system.thread_pool import ThreadPool

ALLOWED = 2


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPool]:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(started) == ALLOWED:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    pool = ThreadPool("few")
    yield pool
    pool.shutdown()


def test_work_without_a_thread_of_its_own_waits_for_one_that_runs(pool: ThreadPool) -> None:
    go_on = threading.Event()
    waiting = [pool.submit(go_on.wait, 300) for _ in range(ALLOWED)]

    later = [pool.submit(pow, 2, number) for number in range(5)]

    assert not any(one.done() for one in later)
    go_on.set()
    assert [one.result(300) for one in later] == [1, 2, 4, 8, 16]
    assert all(one.result(300) for one in waiting)


def test_a_start_of_more_threads_is_an_error_and_leaves_none_waiting(pool: ThreadPool) -> None:
    pool.start(ALLOWED)

    with pytest.raises(Unavailable, match=r"cannot start a thread: .* limit of its processes"):
        pool.start(ALLOWED + 1)

    assert pool.submit(pow, 2, 3).result(300) == 8


def test_a_pool_without_any_thread_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)

    with pytest.raises(Unavailable):
        ThreadPool("none").submit(pow, 2, 3)

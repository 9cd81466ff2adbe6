import gc
import random
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import NoReturn

import pytest

from app.builder.images.packing.blocks import Buffers
from app.builder.images.packing.inorder import InOrder


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_results_are_taken_in_the_order_of_submission_however_long_each_takes(
    threads: ThreadPoolExecutor,
) -> None:
    taken: list[int] = []
    ended: list[int] = []
    second_is_done = threading.Event()
    work = InOrder(threads, limit=4)

    def slow() -> int:
        assert second_is_done.wait(300)
        return 1

    def quick() -> int:
        second_is_done.set()
        return 2

    work.add(slow, taken.append, partial(ended.append, 1))
    work.add(quick, taken.append, partial(ended.append, 2))
    work.finish()

    assert taken == ended == [1, 2]


def test_no_more_pieces_than_the_limit_are_unfinished(threads: ThreadPoolExecutor) -> None:
    under_way = most = 0
    lock = threading.Lock()

    def begin() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)

    def end() -> None:
        nonlocal under_way
        with lock:
            under_way -= 1

    work = InOrder(threads, limit=2)
    for _ in range(200):
        work.add(begin, lambda _: None, end)
    work.finish()

    assert (under_way, most <= 2) == (0, True)


def test_after_a_failure_no_result_is_taken_and_the_first_error_is_raised(
    threads: ThreadPoolExecutor,
) -> None:
    taken: list[int] = []
    ended: list[int] = []
    gate = threading.Event()
    work = InOrder(threads, limit=3)

    def fail(message: str) -> int:
        assert gate.wait(300)
        raise OSError(message)

    work.add(partial(fail, "first"), taken.append, partial(ended.append, 1))
    work.add(partial(fail, "second"), taken.append, partial(ended.append, 2))
    work.add(lambda: 3, taken.append, partial(ended.append, 3))
    gate.set()

    with pytest.raises(OSError, match="first"):
        work.finish()
    assert (taken, sorted(ended)) == ([], [1, 2, 3])
    with pytest.raises(OSError, match="first"):
        work.add(lambda: 4, taken.append, partial(ended.append, 4))


def test_the_submitter_does_the_work_when_no_thread_is_free() -> None:
    gate = threading.Event()
    taken: list[int] = []
    doers: set[int] = set()

    def piece(number: int) -> int:
        doers.add(threading.get_ident())
        return number

    with ThreadPoolExecutor(1) as busy:
        busy.submit(gate.wait, 300)
        work = InOrder(busy, limit=2)
        for number in range(10):
            work.add(partial(piece, number), taken.append, lambda: None)
        work.finish()
        gate.set()

    assert (taken, doers) == (list(range(10)), {threading.get_ident()})


@pytest.mark.slow
def test_several_submitters_share_one_thread_without_a_deadlock() -> None:
    def give(start: int) -> list[int]:
        taken: list[int] = []
        work = InOrder(shared, limit=2)
        for number in range(start, start + 500):
            work.add(partial(int, number), taken.append, lambda: None)
        work.finish()
        return taken

    with ThreadPoolExecutor(1) as shared, ThreadPoolExecutor(4) as givers:
        results = list(givers.map(give, range(0, 2000, 500), timeout=300))

    assert results == [list(range(start, start + 500)) for start in range(0, 2000, 500)]


@pytest.mark.slow
def test_finished_pieces_in_the_queue_keep_no_reference_to_their_work() -> None:
    class Block:
        """A bytearray has no weak references."""

    def keep(_: Block) -> None:
        pass

    gate = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        busy.submit(gate.wait, 300)
        work = InOrder(busy, limit=2)
        blocks = weakref.WeakSet[Block]()
        most = 0
        for _ in range(20):
            block = Block()
            blocks.add(block)
            work.add(partial(id, block), lambda _: None, partial(keep, block))
            del block
            gc.collect()
            most = max(most, len(blocks))
        gate.set()

    assert most <= 3


def test_if_no_thread_can_be_started_the_submitter_does_all_work() -> None:
    class NoThreads(Executor):
        def submit(self, *_: object, **__: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

    taken: list[int] = []
    ended: list[int] = []
    work = InOrder(NoThreads(), limit=3)

    for number in range(10):
        work.add(partial(int, number), taken.append, partial(ended.append, number))
    work.finish()

    assert taken == ended == list(range(10))


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_after_any_failure_all_buffers_are_free_and_earlier_results_are_taken(cores: int) -> None:
    buffers = Buffers(2 * cores + 2, size=10)
    drawn = random.Random(cores)

    def give(pieces: int, broken: int) -> tuple[list[int], str]:
        taken: list[int] = []
        work = InOrder(shared, limit=cores + 1)
        filling: bytearray | None = None
        try:
            filling = buffers.take(work.advance)
            for number in range(pieces):
                piece = partial(fail_at, broken, number)
                work.add(piece, taken.append, partial(buffers.put_back, filling))
                filling = None
                filling = buffers.take(work.advance)
            work.finish()
        except OSError as error:
            return taken, str(error)
        else:
            return taken, ""
        finally:
            work.wait()
            if filling is not None:
                buffers.put_back(filling)

    questions = [(drawn.randrange(1, 60), drawn.randrange(80)) for _ in range(60)]
    with ThreadPoolExecutor(max(1, cores - 1)) as shared, ThreadPoolExecutor(cores) as givers:
        asked = [givers.submit(give, *question) for question in questions]
        answers = [answer.result(300) for answer in asked]

    for (pieces, broken), (taken, error) in zip(questions, answers, strict=True):
        assert taken == list(range(min(pieces, broken)))
        assert error == (str(broken) if broken < pieces else "")
    all_of_them = [buffers.take(no_more) for _ in range(2 * cores + 2)]
    assert len({id(buffer) for buffer in all_of_them}) == 2 * cores + 2


def fail_at(broken: int, number: int) -> int:
    if number == broken:
        raise OSError(str(number))
    return number


def no_more() -> bool:
    raise AssertionError("a buffer was not given back")

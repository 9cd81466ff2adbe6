"""A descriptor is closed once: later its number may be that of another file."""

import asyncio
import os
from io import FileIO
from itertools import pairwise

import pytest

from app.system.streams import Reader, Writer
from tests.waiting import turns


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


class Watched(FileIO):
    """Fails when it is closed and its number is not open any more."""

    def close(self) -> None:
        if not self.closed:
            os.fstat(self.fileno())
        super().close()


def watched_pipe() -> tuple[Watched, Watched]:
    reading, writing = os.pipe()
    return Watched(reading, "rb"), Watched(writing, "wb")


async def test_a_pipe_read_to_its_end_is_closed_once() -> None:
    near, far = watched_pipe()
    heard = bytearray()
    reader = Reader(near, heard.extend)

    far.write(b"one")
    far.close()
    await reader.ended
    reader.close()

    assert heard == b"one"
    assert near.closed


async def test_a_reader_closed_early_has_ended_and_passes_on_nothing() -> None:
    near, far = watched_pipe()
    heard = bytearray()
    reader = Reader(near, heard.extend)
    far.write(b"one")

    reader.close()
    await turns()

    assert reader.ended.done()
    assert near.closed
    assert heard == b""
    far.close()


async def test_bytes_beyond_the_size_of_a_pipe_are_sent_once_it_is_read() -> None:
    near, far = watched_pipe()
    writer = Writer(far)
    heard = bytearray()
    all_heard = asyncio.Event()

    def take(chunk: bytes) -> None:
        heard.extend(chunk)
        if len(heard) == 600_000:
            all_heard.set()

    writer.write(b"x" * 300_000)
    writer.write(b"y" * 300_000)
    reader = Reader(near, take)
    await all_heard.wait()
    writer.close()
    await reader.ended

    assert heard == b"x" * 300_000 + b"y" * 300_000


@pytest.mark.parametrize("size", [1, 300_000], ids=["nothing waits", "something waits"])
async def test_nothing_is_written_to_a_program_that_closed_its_input(size: int) -> None:
    near, far = watched_pipe()
    writer = Writer(far)
    writer.write(b"x" * size)

    near.close()
    await turns()
    writer.write(b"y")
    writer.write(b"y")

    assert far.closed
    writer.close()


@pytest.mark.slow
async def test_of_very_many_lines_a_few_are_given_between_two_turns_of_the_event_loop() -> None:
    near, far = watched_pipe()
    pieces: list[bytes] = []
    turns: list[int] = []
    reader = Reader(near, pieces.append, by_lines=True)

    async def count_turns() -> None:
        while not reader.ended.done():
            turns.append(len(pieces))
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    far.write(b"y\n" * 5_000 + b"rest")
    far.close()
    await reader.ended
    await counting

    assert b"".join(pieces) == b"y\n" * 5_000 + b"rest"
    assert max(piece.count(b"\n") for piece in pieces) <= 64
    assert max(after - before for before, after in pairwise(turns)) <= 1


async def test_lines_that_wait_are_dropped_when_the_reader_is_closed() -> None:
    near, far = watched_pipe()
    pieces: list[bytes] = []
    reader: Reader

    def take(piece: bytes) -> None:
        pieces.append(piece)
        asyncio.get_running_loop().call_soon(reader.close)

    reader = Reader(near, take, by_lines=True)
    far.write(b"y\n" * 5_000)
    await reader.ended
    await turns()

    assert len(pieces) == 1
    far.close()

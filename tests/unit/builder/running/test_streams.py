"""A number that is closed twice may be somebody else's the second time."""

import asyncio
import os
from io import FileIO

import pytest

from app.builder.running.streams import Reader, Writer


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


async def test_what_is_read_to_its_end_is_closed_once() -> None:
    near, far = watched_pipe()
    heard = bytearray()
    reader = Reader(near, heard.extend)

    far.write(b"one")
    far.close()
    await reader.ended
    reader.close()

    assert heard == b"one"
    assert near.closed


async def test_what_is_closed_early_has_ended_and_gives_nothing_more() -> None:
    near, far = watched_pipe()
    heard = bytearray()
    reader = Reader(near, heard.extend)
    far.write(b"one")

    reader.close()
    await asyncio.sleep(0.01)

    assert reader.ended.done()
    assert near.closed
    assert heard == b""
    far.close()


async def test_what_a_pipe_does_not_hold_goes_out_when_it_is_read() -> None:
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
async def test_who_reads_no_longer_is_not_told(size: int) -> None:
    near, far = watched_pipe()
    writer = Writer(far)
    writer.write(b"x" * size)

    near.close()
    await asyncio.sleep(0.01)
    writer.write(b"y")
    writer.write(b"y")

    assert far.closed
    writer.close()

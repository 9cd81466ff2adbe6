"""A stream that a thread writes: its callers never wait for its reader."""

import fcntl
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from loguru import logger

from app.telemetry.background_stream import BackgroundStream
from app.telemetry.log import LogFormat, in_background, set_up
from app.telemetry.lookups import LOG
from tests.waiting import wait_until

LIMIT = 10_000
SECONDS = 60


class Pipe:
    """A pipe that holds one page, and what was read from it."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1)
        self.stream = os.fdopen(writing, "w")
        self.text = ""
        self._reader: threading.Thread | None = None

    def fill(self) -> None:
        """Leave no room: the next byte waits for the reader."""
        os.write(self.stream.fileno(), b"x" * (fcntl.fcntl(self.reading, fcntl.F_GETPIPE_SZ) - 1))
        os.write(self.stream.fileno(), b"\n")

    def read(self, end: str) -> str:
        while end not in self.text:
            self.text += os.read(self.reading, 1 << 16).decode()
        return self.text

    def read_all(self) -> None:
        """Read in a thread, until the stream is closed."""

        def run() -> None:
            while data := os.read(self.reading, 1 << 16):
                self.text += data.decode()

        self._reader = threading.Thread(target=run, daemon=True)
        self._reader.start()

    def close(self) -> None:
        if self._reader is not None:
            # Another file could get the descriptor that the thread reads from.
            self.stream.close()
            self._reader.join()
        os.close(self.reading)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def background(stream: TextIO, *, limit: int = 1 << 20) -> tuple[BackgroundStream, list[int]]:
    """Return a stream that writes a line for what it dropped, and the numbers in these lines."""
    found: list[int] = []

    def report(lines: int) -> None:
        found.append(lines)
        written.write(f"dropped {lines}\n")

    written = BackgroundStream(stream, on_dropped=report, limit=limit)
    return written, found


def test_lines_of_several_threads_are_written_whole_and_in_order(pipe: Pipe) -> None:
    written, dropped = background(pipe.stream)
    pipe.read_all()

    def write(name: str) -> None:
        for number in range(1_000):
            written.write(f"{name} {number} é\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written.drain(SECONDS)

    wait_until(lambda: pipe.text.count("\n") == 3_000)
    lines = pipe.text.splitlines()
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [
            f"{name} {number} é" for number in range(1_000)
        ]
    assert dropped == []


def test_a_reader_that_stalls_delays_no_writer_and_lines_beyond_the_limit_are_dropped(
    pipe: Pipe,
) -> None:
    pipe.fill()
    written, dropped = background(pipe.stream, limit=LIMIT)
    numbers = range(1_000)

    for number in numbers:
        written.write(f"line {number:5}\n")

    assert not written.drain(0.01)
    assert dropped == []
    pipe.read("dropped")
    [lost] = dropped
    assert written.drain(SECONDS)
    written.write("after\n")
    _, *lines = pipe.read("after\n").splitlines()
    assert lines == [
        *(f"line {number:5}" for number in numbers[: len(numbers) - lost]),
        f"dropped {lost}",
        "after",
    ]
    assert LIMIT - 20 < len("line 00000\n") * (len(numbers) - lost) <= LIMIT


def test_a_stream_without_a_reader_takes_lines_and_counts_them() -> None:
    pipe = Pipe()
    os.close(pipe.reading)
    lost: list[int] = []
    written = BackgroundStream(pipe.stream, on_dropped=lambda _: None, count_dropped=lost.append)

    for _ in range(3):
        written.write("line\nof two\n")
        assert written.drain(SECONDS)

    assert sum(lost) == 6
    pipe.stream.close()


def test_lines_lost_on_a_full_disk_are_reported_with_the_next_that_is_written(
    tmp_path: Path, pipe: Pipe
) -> None:
    """The file takes the place of a disk that is freed."""
    with Path("/dev/full").open("w") as full:
        written, dropped = background(full)
        written.write("lost\n")
        assert written.drain(SECONDS)
        os.dup2(pipe.stream.fileno(), full.fileno())
        written.write("written\n")
        assert pipe.read("dropped 1\n") == "written\ndropped 1\n"
        assert written.drain(SECONDS)
    assert dropped == [1]


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    written, dropped = background(pipe.stream)
    lines = "".join(f"line {number}\n" for number in range(3_000))

    for line in lines.splitlines(keepends=True):
        written.write(line)

    assert pipe.read("line 2999\n") == lines
    assert dropped == []


def test_a_text_longer_than_the_limit_is_written_if_nothing_waits(pipe: Pipe) -> None:
    written, _ = background(pipe.stream, limit=10)
    pipe.read_all()

    written.write("x" * 100_000 + "\n")

    assert written.drain(SECONDS)
    wait_until(lambda: len(pipe.text) == 100_001)


def test_a_log_in_the_background_is_whole_when_it_ends(pipe: Pipe) -> None:
    pipe.read_all()

    with in_background(pipe.stream) as stream:
        set_up(level="INFO", form=LogFormat.JSON, stream=stream)
        for number in range(500):
            logger.info("line {}", number)
    logger.remove()

    wait_until(lambda: pipe.text.count("\n") == 500)
    messages = [json.loads(line)["message"] for line in pipe.text.splitlines()]
    assert messages == [f"line {number}" for number in range(500)]


def test_a_log_reports_and_counts_dropped_lines(pipe: Pipe) -> None:
    before = LOG["dropped"]
    pipe.fill()
    with in_background(pipe.stream) as stream:
        set_up(level="INFO", form=LogFormat.JSON, stream=stream)
        for _ in range(30):
            logger.info("x" * 100_000)
        pipe.read_all()
    logger.remove()

    wait_until(lambda: "dropped" in pipe.text and pipe.text.endswith("\n"))
    *kept, note = map(json.loads, pipe.text.splitlines()[1:])
    lost = LOG["dropped"] - before
    assert lost == 30 - len(kept) > 0
    assert note["level"] == "warning"
    assert note["message"].startswith(f"{lost} lines of the log were dropped")


def test_a_stream_without_a_file_is_refused() -> None:
    with pytest.raises(io.UnsupportedOperation):
        background(io.StringIO())

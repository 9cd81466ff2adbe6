import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from app.system.conversation import Conversation, ProgramEnded
from app.system.process import Limits, OutOfSpace, OutOfTime, ProgramMissing
from tests.unit.system.test_process import ENVIRONMENT, LIMITS, wait_for_end
from tests.waiting import until as wait_until

Start = Callable[..., Conversation]

ECHO = """
import sys
for line in sys.stdin:
    print("prompt>", line.strip(), "done", flush=True)
"""


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        def with_script(script: str, limits: Limits = LIMITS) -> Conversation:
            conversation = Conversation(
                [sys.executable, "-c", script], environment=ENVIRONMENT, limits=limits
            )
            stack.push_async_callback(conversation.end)
            return conversation

        yield with_script


async def test_each_request_has_its_own_response(start: Start) -> None:
    conversation = start(ECHO)

    first = await conversation.request(b"one\n", until=b"done")
    second = await conversation.request(b"two\n", until=b"done")

    assert first.split() == [b"prompt>", b"one", b"done"]
    assert second.split() == [b"prompt>", b"two", b"done"]


@pytest.mark.slow
async def test_a_response_may_come_in_pieces_and_be_long(start: Start) -> None:
    conversation = start(
        "import sys\n"
        "for line in sys.stdin:\n"
        "    for piece in (b'x' * 3_000_000, b'do', b'n', b'e'):\n"
        "        sys.stdout.buffer.write(piece); sys.stdout.flush()\n"
    )

    assert len(await conversation.request(b"?\n", until=b"done")) == 3_000_004
    assert len(await conversation.request(b"?\n", until=b"done")) == 3_000_004


async def test_a_request_longer_than_a_pipe_arrives(start: Start) -> None:
    conversation = start("import sys\nfor line in sys.stdin: print(len(line), flush=True)")

    assert b"1000001" in await conversation.request(b"x" * 1_000_000 + b"\n", until=b"1000001")


@pytest.mark.slow
async def test_no_response_in_time_is_an_error(start: Start) -> None:
    conversation = start(ECHO, Limits(seconds=0.3, grace_seconds=0.5))

    with pytest.raises(OutOfTime, match=r"0\.3 s"):
        await conversation.request(b"one\n", until=b"never printed")


async def test_the_output_limit_starts_again_with_each_response(start: Start) -> None:
    limits = Limits(seconds=20, output=2**20, grace_seconds=0.5)
    conversation = start(
        "import sys\nfor line in sys.stdin: print('x' * int(line), 'done', flush=True)", limits
    )

    for _ in range(4):
        await conversation.request(b"900000\n", until=b"done")
    with pytest.raises(OutOfSpace, match="1 MiB of output"):
        await conversation.request(b"1200000\n", until=b"done")


async def test_standard_error_counts_too(start: Start) -> None:
    conversation = start(
        "import sys\nwhile True: sys.stderr.write('x' * 65536)",
        Limits(seconds=20, output=2**20, grace_seconds=0.5),
    )

    with pytest.raises(OutOfSpace):
        await conversation.request(b"one\n", until=b"done")


async def test_a_program_that_exits_without_a_response_is_an_error(start: Start) -> None:
    conversation = start("input()")

    with pytest.raises(ProgramEnded):
        await conversation.request(b"one\n", until=b"done")

    assert conversation.ended
    assert conversation.resident() == 0


async def test_one_that_has_ended_already_is_an_error(start: Start) -> None:
    conversation = start("")
    await wait_until(lambda: conversation.ended)

    with pytest.raises(ProgramEnded):
        await conversation.request(b"one\n", until=b"done")


@pytest.mark.slow
async def test_its_memory_can_be_seen(start: Start) -> None:
    conversation = start(
        "import sys\nkept = []\nfor line in sys.stdin:\n"
        "    kept.append(b'x' * int(line)); print('done', flush=True)"
    )

    await conversation.request(b"1\n", until=b"done")
    before = conversation.resident()
    await conversation.request(b"50000000\n", until=b"done")

    assert 49_000_000 < conversation.resident() - before < 60_000_000


@pytest.mark.slow
async def test_the_end_ends_the_program_even_if_it_will_not(start: Start) -> None:
    conversation = start(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for line in sys.stdin: print('done', flush=True)\ntime.sleep(600)"
    )
    await conversation.request(b"one\n", until=b"done")

    await conversation.end()

    await wait_for_end(conversation.pid)


async def test_a_program_that_is_missing_is_an_error_of_its_own() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        Conversation(["no-such-program"], environment=ENVIRONMENT, limits=LIMITS)


@pytest.mark.slow
async def test_one_that_listens_no_longer_is_out_of_time(start: Start) -> None:
    limits = Limits(seconds=1, grace_seconds=0.5)
    conversation = start("import os, time\nos.close(0); print(flush=True); time.sleep(60)", limits)

    # The pipe buffers a part; the rest is written while no process reads.
    with pytest.raises(OutOfTime):
        await conversation.request(b"x" * 1_000_000, until=b"done")
    with pytest.raises(OutOfTime):
        await conversation.request(b"x", until=b"done")

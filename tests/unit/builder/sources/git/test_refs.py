import asyncio
from collections.abc import Mapping

import pytest

from app.builder.sources.git.command import GitFailed
from app.builder.sources.git.refs import RefCache


class Host:
    """Answers with how often it was asked, as soon as the gate is open."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0

    async def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        answer = str(self.asked)
        await self.gate.wait()
        if self.fails:
            raise GitFailed(answer)
        return {"HEAD": answer}

    def clock(self) -> float:
        return self.now


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def listing(host: Host) -> RefCache:
    return RefCache(query=host, seconds=2, clock=host.clock)


async def test_hundreds_who_ask_within_moments_cost_one_question(
    host: Host, listing: RefCache
) -> None:
    await asyncio.gather(*(listing.refs() for _ in range(150)))
    host.now = 1.9
    await asyncio.gather(*(listing.refs() for _ in range(150)))
    assert host.asked == 1

    host.now = 2.1

    assert await listing.refs() == {"HEAD": "2"}


async def test_a_host_that_does_not_answer_is_not_asked_by_one_after_the_other(
    host: Host, listing: RefCache
) -> None:
    host.fails = True

    failures = await asyncio.gather(*(listing.refs() for _ in range(5)), return_exceptions=True)

    assert [str(failure) for failure in failures] == ["1"] * 5
    host.fails, host.now = False, 2.1
    assert await listing.refs() == {"HEAD": "2"}


async def test_whoever_gives_up_leaves_the_question_to_the_next(
    host: Host, listing: RefCache
) -> None:
    host.gate.clear()
    impatient = asyncio.create_task(listing.refs())
    patient = asyncio.create_task(listing.refs())
    await asyncio.sleep(0)

    impatient.cancel()
    host.gate.set()

    assert await patient == {"HEAD": "2"}


async def test_without_a_time_nobody_gets_an_answer_to_a_question_put_before_they_came(
    host: Host,
) -> None:
    listing = RefCache(query=host, seconds=0, clock=host.clock)
    host.gate.clear()
    first = asyncio.create_task(listing.refs())
    await asyncio.sleep(0)
    others = [asyncio.create_task(listing.refs()) for _ in range(3)]
    await asyncio.sleep(0)

    host.gate.set()

    assert await first == {"HEAD": "1"}
    assert await asyncio.gather(*others) == [{"HEAD": "2"}] * 3

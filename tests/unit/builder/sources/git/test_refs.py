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


async def test_concurrent_callers_cost_one_query(host: Host, listing: RefCache) -> None:
    await asyncio.gather(*(listing.refs() for _ in range(150)))
    host.now = 1.9
    await asyncio.gather(*(listing.refs() for _ in range(150)))
    assert host.asked == 1

    host.now = 2.1

    assert await listing.refs() == {"HEAD": "2"}


async def test_failure_is_shared_by_concurrent_callers(host: Host, listing: RefCache) -> None:
    host.fails = True

    failures = await asyncio.gather(*(listing.refs() for _ in range(5)), return_exceptions=True)

    assert [str(failure) for failure in failures] == ["1"] * 5
    host.fails, host.now = False, 2.1
    assert await listing.refs() == {"HEAD": "2"}


async def test_next_caller_queries_after_a_cancelled_one(host: Host, listing: RefCache) -> None:
    host.gate.clear()
    impatient = asyncio.create_task(listing.refs())
    patient = asyncio.create_task(listing.refs())
    await asyncio.sleep(0)

    impatient.cancel()
    host.gate.set()

    assert await patient == {"HEAD": "2"}


async def test_without_caching_a_result_is_not_older_than_its_caller(
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

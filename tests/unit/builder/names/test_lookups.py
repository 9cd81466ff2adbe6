"""One search at a time, and a share of the queue for each client."""

import asyncio
import threading

import pytest

from app.builder.names.lookups import Lookups
from app.errors import TooManyRequests
from app.system.blocking import blocking
from app.system.workers import Workers

_PLACES = 32


async def test_a_client_that_floods_searches_leaves_places_to_others() -> None:
    lookups = Lookups(workers=Workers(8), share=0.5)
    ready = threading.Event()
    running: list[int] = []
    most: list[int] = []

    @blocking
    def search(number: int) -> int:
        running.append(number)
        most.append(len(running))
        ready.wait(60)
        running.remove(number)
        return number

    flood = [
        asyncio.create_task(lookups.run(("192.0.2.1",), search, n)) for n in range(_PLACES + 1)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as refused:
        await lookups.run(("192.0.2.1",), search, -1)
    other = asyncio.create_task(lookups.run(("192.0.2.2",), search, 99))
    await asyncio.sleep(0)
    ready.set()

    assert 1 <= refused.value.retry_after <= 10
    assert await other == 99
    assert not flood[-1].done()
    assert await asyncio.gather(*flood) == list(range(_PLACES + 1))
    assert set(most) == {1}

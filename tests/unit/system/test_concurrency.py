import asyncio

import pytest

from app.system.concurrency import KeyedLock, gather


async def test_one_key_has_one_holder_and_others_do_not_wait() -> None:
    locks: KeyedLock[str] = KeyedLock()
    held: list[str] = []

    async def hold(key: str) -> None:
        async with locks.holding(key):
            held.append(key)
            await asyncio.sleep(0.01)
            held.remove(key)
            assert key not in held

    await asyncio.gather(*(hold(key) for key in "aabba"))

    assert not locks._locks


async def test_results_come_in_order_and_a_failure_as_itself() -> None:
    async def after(seconds: float, value: str) -> str:
        await asyncio.sleep(seconds)
        if value == "bad":
            raise ValueError(value)
        return value

    assert await gather([after(0.02, "a"), after(0, "b")]) == ("a", "b")
    with pytest.raises(ValueError, match="bad"):
        await gather([after(10, "a"), after(0, "bad")])

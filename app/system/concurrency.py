"""Run coroutines together, and one at a time for each key."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from app.system.loop_share import current_share

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


# Tasks that start in one turn of the event loop.  An image has thousands of store paths, and the
# first step of each takes up to a millisecond.
_AT_ONCE = 16


async def gather(work: Iterable[Coroutine[None, None, T]]) -> tuple[T, ...]:
    """Return all results in order; raise the first failure once all others have stopped.

    Their steps count in the caller's share of the event loop.
    """
    share = current_share()
    tasks: list[asyncio.Task[T]] = []
    begun: list[Coroutine[None, None, T]] = []
    left = iter(work)
    first = tuple(islice(left, 2))
    if len(first) == 1:  # a task would cost more than most work
        return (await first[0],)
    left = chain(first, left)
    try:
        async with asyncio.TaskGroup() as group:
            for number, one in enumerate(left, 1):
                begun.append(one)
                shared = one if share is None else share.run_accepted(partial(_same, one))
                tasks.append(group.create_task(shared))
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for one in chain(begun, left):
            one.close()
    return tuple(task.result() for task in tasks)


def _same(one: Coroutine[None, None, T]) -> Coroutine[None, None, T]:
    return one


class KeyedLock(Generic[K]):
    """One holder for each key at a time; where callers want one result, see ``SingleFlight``."""

    def __init__(self) -> None:
        # A lock exists as long as a task holds it or waits for it.
        self._locks: WeakValueDictionary[K, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def holding(self, key: K) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield

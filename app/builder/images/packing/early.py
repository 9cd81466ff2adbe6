"""Pack store paths while the closure of an image is still being looked up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from app.builder.nix.closure import StorePath
from app.builder.nix.store import StoreReader


@asynccontextmanager
async def packing_early(
    store: StoreReader, pack: Callable[[StorePath], Coroutine[None, None, object]]
) -> AsyncIterator[None]:
    """Pack paths of the caller's job as soon as the store announces them.

    A failure cancels the caller, and is raised in its place.  When the context ends, packing of
    paths that the caller has not requested is cancelled.
    """
    tasks: list[asyncio.Task[object]] = []
    try:
        async with asyncio.TaskGroup() as group:

            def begin(path: StorePath) -> None:
                work = pack(path)
                try:
                    tasks.append(group.create_task(work))
                except RuntimeError:  # after a failure, while the caller is being cancelled
                    work.close()

            with store.announcing(begin):
                yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None

"""The closure of paths from narinfos, without a cache."""

import asyncio

import pytest

from app.builder.nix.binary_cache.narinfo import Substitute
from app.builder.nix.closure import StorePath
from app.builder.nix.substitution.caches import CacheResponse
from app.builder.nix.substitution.finding import ClosureFinder
from app.builder.nix.substitution.offer import Offer
from tests.unit.builder.images.packing.trees import store_path
from tests.unit.builder.nix.substitution.world import RETRIES

pytestmark = pytest.mark.anyio


def response(path: StorePath, references: list[StorePath]) -> CacheResponse:
    substitute = Substitute(
        path=path,
        nar_size=1,
        references=tuple(references),
        url="nar/x",
        compression="none",
        file_hash=None,
        file_size=None,
        nar_hash=bytes(32),
        signatures=(),
        content_address=None,
    )
    return CacheResponse(offer=Offer("https://cache", "https://cache/nar/x", substitute))


async def test_many_references_are_queried_in_several_turns_of_the_event_loop() -> None:
    """One path may refer to thousands; clients are served between their queries."""
    root = store_path(1, "root")
    references = [store_path(number, "reference") for number in range(2, 502)]
    begun = 0
    most = 0

    async def find(path: StorePath) -> CacheResponse:
        nonlocal begun
        begun += 1
        return response(path, references if path == root else [])

    async def serve() -> None:
        nonlocal most
        while True:
            before = begun
            await asyncio.sleep(0)
            most = max(most, begun - before)

    serving = asyncio.create_task(serve())
    found = await ClosureFinder(find, retries=RETRIES).find([root], absent=())
    serving.cancel()

    assert set(found.offers) == {root, *references}
    assert most <= 50

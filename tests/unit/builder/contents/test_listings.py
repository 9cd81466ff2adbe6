from pathlib import Path

import pytest

from app.builder.contents.listings import Listings
from app.builder.workers import Workers
from app.errors import StoreUnreadable
from app.storage.memory import MemoryStorage
from tests.unit.builder.packing.trees import plant_path, store_path

PATH = store_path(1, "package")


async def test_a_listing_is_made_once_and_then_needs_no_store(tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path / "store", PATH, {b"bin": {b"x": b""}, b"\xff": (b"bin",)})
    seen = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path / "store")
    listing = await seen.listing(PATH)

    blind = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path / "nowhere")

    assert await blind.listing(PATH) == listing


async def test_a_store_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    listings = Listings(storage=MemoryStorage(), workers=Workers(1), store_directory=tmp_path)

    with pytest.raises(StoreUnreadable, match="package cannot be packed: No such file"):
        await listings.listing(PATH)

"""A disk and a stream of Nix archives offer the same pass over a store path."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.builder.nix.closure import StoreObject, StorePath
from app.builder.nix.store import Store
from tests.archives import archive_of
from tests.contract.store_contract import Contents, MakeStore, StoreContract
from tests.nar_store import Archive, NarStore
from tests.unit.builder.images.packing.trees import closure_query, local_store, plant_path


class TestLocalStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        def make(contents: Contents, objects: tuple[StoreObject, ...]) -> Store:
            for path, node in contents.items():
                plant_path(tmp_path, path, node)
            return local_store(tmp_path, *objects)

        return make


class TestNarStore(StoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        def make(contents: Contents, objects: tuple[StoreObject, ...]) -> Store:
            @contextmanager
            def open_archive(path: StorePath) -> Iterator[Archive]:
                if path not in contents:
                    raise FileNotFoundError(2, os.strerror(2))
                archive = archive_of(contents[path])
                yield Archive(io.BytesIO(archive), len(archive))

            return NarStore(open_archive, query=closure_query(*objects))

        return make

"""``nix-store --dump`` writes the archives that the parser reads."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader
from pathlib import Path

import pytest

from app.builder.nix.closure import StoreObject, StorePath
from app.builder.nix.store import Store
from tests.archives import archive_of
from tests.contract.store_contract import MIXED, Contents, MakeStore, StoreContract
from tests.nar_store import Archive, NarStore
from tests.ownership import start_process
from tests.unit.builder.images.packing.trees import closure_query, plant, plant_path

pytestmark = pytest.mark.nix


@contextmanager
def dumping(location: Path) -> Iterator[Archive]:
    """Run ``nix-store --dump`` and read its output."""
    if not os.path.lexists(location):
        raise FileNotFoundError(2, os.strerror(2))
    with start_process(["nix-store", "--dump", location], stdout=subprocess.PIPE) as process:
        assert isinstance(process.stdout, BufferedReader)
        yield Archive(process.stdout, 1 << 30)


class TestDumpedStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        def make(contents: Contents, objects: tuple[StoreObject, ...]) -> Store:
            for path, node in contents.items():
                plant_path(tmp_path, path, node)

            def open_archive(path: StorePath) -> AbstractContextManager[Archive]:
                return dumping(tmp_path / path.base)

            return NarStore(open_archive, query=closure_query(*objects))

        return make


def test_archives_of_tests_are_those_of_nix(tmp_path: Path) -> None:
    plant(os.fsencode(tmp_path / "t"), MIXED)

    with dumping(tmp_path / "t") as archive:
        dump = bytearray(len(archive_of(MIXED)) + 1)
        size = archive.source.readinto(memoryview(dump))

    assert dump[:size] == archive_of(MIXED)

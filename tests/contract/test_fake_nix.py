"""``FakeNix`` does what the real programs do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.door import PackageSet
from app.builder.nix.programs.local_store import LocalStore
from tests.contract.nix_contract import MakeNix, NixContract, NixUnderTest
from tests.fakes.nix import FakeNix
from tests.fakes.nix_store import CACHE
from tests.fakes.package_set import Attribute
from tests.virtualtime import virtual_backend

SET = PackageSet("path", "/nowhere")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


@dataclass
class _FakeSubject:
    nix: FakeNix
    package_set: PackageSet = SET
    system: str = "x86_64-linux"
    cache: tuple[str, ...] = (CACHE,)

    @property
    def store_directory(self) -> Path:
        return self.nix.store_directory

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.store_directory, query=self.nix.closure)

    async def delete(self, path: StorePath) -> bool:
        return self.nix.store.delete(path)


class TestFakeNix(NixContract):
    @pytest.fixture
    def make_nix(self, tmp_path: Path) -> MakeNix:
        def make(attributes: Mapping[str, Attribute], set_error: str = "") -> NixUnderTest:
            return _FakeSubject(FakeNix(tmp_path, attributes, set_error=set_error))

        return make

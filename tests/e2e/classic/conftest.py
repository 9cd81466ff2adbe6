"""Servers of one source with a package set that imports ``<nixpkgs>``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.classic.source import (
    StartClassic,
    classic_repository,
    classic_servers,
    copy_of_nixpkgs,
)
from tests.unit.builder.sources.git.repository import Repository


@pytest.fixture
def nixpkgs(tmp_path: Path) -> Path:
    return copy_of_nixpkgs(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return classic_repository(tmp_path)


@pytest.fixture(params=["trusted", "untrusted"])
def start(
    request: pytest.FixtureRequest, tmp_path: Path, nixpkgs: Path, repository: Repository
) -> Iterator[StartClassic]:
    trusted = request.param == "trusted"
    with classic_servers(tmp_path, nixpkgs, repository, trusted=trusted) as start:
        yield start

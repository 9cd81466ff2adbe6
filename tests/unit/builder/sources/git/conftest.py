"""A git source over a local repository."""

from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git.git import GitUpstream
from tests.unit.builder.sources.git.repository import Repository, upstream


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def source(repository: Repository, tmp_path: Path) -> GitUpstream:
    """A source without a cache."""
    definition = GitDefinition(name="set", location=repository.url, revision_seconds=0)
    return upstream(definition, tmp_path / "state")

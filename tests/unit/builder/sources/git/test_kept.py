"""The commits that stay in a repository of the server, fetched and repacked by git itself."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git import command as gitcommand
from app.builder.sources.git.git import GitUpstream
from app.errors import SourceUnavailable
from tests.unit.builder.sources.git.repository import Repository, upstream

pytestmark = pytest.mark.slow

KEPT = 2


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def source(repository: Repository, state: Path, monkeypatch: pytest.MonkeyPatch) -> GitUpstream:
    monkeypatch.setattr(gitcommand, "_COMMITS", KEPT)
    monkeypatch.setattr(gitcommand, "_PACKS", KEPT)
    definition = GitDefinition(name="set", location=repository.url, revision_seconds=0)
    return upstream(definition, state)


def packs(state: Path, kind: str) -> list[Path]:
    (repository,) = (state / "git").glob(f"*.{kind}")
    return sorted((repository / "objects" / "pack").glob("*.pack"))


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "--git-dir", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def test_commits_used_last_are_kept(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    first, second, third = (repository.commit(text) for text in "123")
    for commit in (first, second, first, third):
        await source.find(commit)

    (kept,) = (state / "git").glob("*.commits")
    assert len(packs(state, "commits")) == 1
    assert set((kept / "shallow").read_text().split()) == {first, third}
    assert set(git(kept, "for-each-ref", "--format=%(objectname)").split()) == {first, third}
    git(kept, "fsck", "--strict")
    repository.path.rename(repository.path.with_name("gone"))
    assert [(await source.find(commit)).label for commit in (first, third)] == [first, third]
    with pytest.raises(SourceUnavailable):
        await source.find(second)


async def test_new_commits_are_kept_after_the_clock_was_set_back(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    next_year = time.time() + 365 * 86400
    for text in "12":
        await source.find(repository.commit(text))
    for mark in (state / "git").glob("*.commits/uses-of-commits/*"):
        os.utime(mark, (next_year, next_year))

    for text in "345":
        commit = repository.commit(text)
        assert (await source.find(commit)).label == commit


@pytest.mark.slow
async def test_dropped_commits_are_fetched_again(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    commits = [repository.commit(str(number)) for number in range(5)]

    for _ in range(2):
        for number, commit in enumerate(commits):
            async with source.checkout(await source.find(commit)) as package_set:
                text = (Path(package_set.reference) / "default.nix").read_text()
            assert text == str(number)

    assert len(packs(state, "commits")) <= KEPT


async def test_second_fetch_downloads_only_the_difference(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    (repository.path / "large").write_text("".join(f"{n * n * n:x}" for n in range(200_000)))
    for text in "12":
        await source.find(repository.commit(text))

    small, large = sorted(pack.stat().st_size for pack in packs(state, "commits"))
    assert small < large / 10


@pytest.mark.slow
async def test_packs_of_histories_are_joined(
    repository: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitcommand, "_PACKS", KEPT)
    repository.git("config", "uploadpack.allowFilter", "true")
    now = 0.0
    definition = GitDefinition(name="set", location=repository.url, revision_seconds=0)
    source = upstream(definition, state, clock=lambda: now)
    commits = []

    for number in range(8):
        now += 3600
        commits.append(repository.commit(str(number)))
        assert (await source.find(commits[-1][:12])).label == commits[-1]
        assert len(packs(state, "history")) <= KEPT

    # The history is not fetched again so soon.
    assert [(await source.find(commit[:12])).label for commit in commits] == commits

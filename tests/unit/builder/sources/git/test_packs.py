"""What is kept of repositories, which are of this machine, and fetched by git itself."""

from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git import command as gitcommand
from app.builder.sources.git.git import GitUpstream
from app.errors import SourceUnavailable
from tests.unit.builder.sources.git.repository import Repository, upstream

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
    found = sorted((repository / "objects" / "pack").iterdir())
    # Nothing of a pack stays without it.
    assert {file.stem for file in found} == {f.stem for f in found if f.suffix == ".pack"}
    return [file for file in found if file.suffix == ".pack"]


async def test_the_commits_used_last_are_kept(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    first, second, third = (repository.commit(text) for text in "123")
    for commit in (first, second, first, third):
        await source.find(commit)

    assert len(packs(state, "commits")) == KEPT
    (kept,) = (state / "git").glob("*.commits")
    assert set((kept / "shallow").read_text().split()) == {first, third}
    repository.path.rename(repository.path.with_name("gone"))
    assert [(await source.find(commit)).label for commit in (first, third)] == [first, third]
    with pytest.raises(SourceUnavailable):
        await source.find(second)


async def test_what_was_let_go_is_fetched_again(
    repository: Repository, source: GitUpstream, state: Path
) -> None:
    commits = [repository.commit(str(number)) for number in range(5)]

    for _ in range(2):
        for number, commit in enumerate(commits):
            async with source.checkout(await source.find(commit)) as package_set:
                text = (Path(package_set.reference) / "default.nix").read_text()
            assert text == str(number)

    assert len(packs(state, "commits")) == KEPT


async def test_histories_fetched_bit_by_bit_are_joined(
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

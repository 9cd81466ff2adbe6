"""Git sources over local repositories; tests/e2e/test_private_sources.py has other hosts."""

import asyncio
import hashlib
import itertools
import os
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git import command as gitcommand
from app.builder.sources.git import files as gitfiles
from app.builder.sources.git.command import GitCommand, GitFailed
from app.builder.sources.git.git import GitUpstream
from app.errors import Refused, SourceUnavailable, TagUnknown
from app.system.locks import EXCLUSIVE, locked
from tests.deep import removing
from tests.unit.builder.sources.git.repository import WORKERS, Repository, upstream

pytestmark = pytest.mark.slow


async def content(source: GitUpstream, tag: str) -> str:
    async with source.checkout(await source.find(tag)) as package_set:
        return (Path(package_set.reference) / "default.nix").read_text()


async def test_latest_is_the_default_branch(repository: Repository, source: GitUpstream) -> None:
    first = repository.commit("1")

    revision = await source.find("latest")

    assert revision.identity == f"commit:{first}"
    assert revision.date == datetime(2024, 5, 1, 1, tzinfo=UTC)
    assert revision.moves


async def test_branch_and_tag_are_found_by_name(
    repository: Repository, source: GitUpstream
) -> None:
    first = repository.commit("1")
    repository.git("tag", "--annotate", "--message", "x", "v1")
    repository.git("checkout", "--quiet", "-b", "release")
    second = repository.commit("2")
    repository.git("checkout", "--quiet", "main")

    assert (await source.find("v1")).label == first
    assert (await source.find("release")).label == second
    assert await content(source, "v1") == "1"
    assert await content(source, "release") == "2"


async def test_date_is_that_of_the_commit_and_not_of_its_tag(
    repository: Repository, source: GitUpstream
) -> None:
    tagged = repository.commit("1")
    repository.commit("2")
    repository.git("tag", "--annotate", "--message", "an hour later", "v1", tagged)

    assert (await source.find("v1")).date == datetime(2024, 5, 1, 1, tzinfo=UTC)


async def test_moved_branch_is_followed(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    assert await content(source, "main") == "1"

    repository.commit("2")

    assert await content(source, "main") == "2"


async def test_rewritten_branch_is_followed(repository: Repository, source: GitUpstream) -> None:
    base = repository.commit("1")
    repository.commit("2")
    await source.find("main")
    repository.git("reset", "--quiet", "--hard", base)
    other = repository.commit("3")

    assert (await source.find("main")).label == other


async def test_commit_on_no_branch_is_found(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    lost = repository.commit("2")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")

    revision = await source.find(lost)

    assert not revision.moves
    assert await content(source, lost) == "2"


async def test_abbreviated_commit_of_any_branch_is_resolved(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("2")
    repository.commit("3")
    repository.git("checkout", "--quiet", "main")

    revision = await source.find(side[:8])

    assert (revision.label, revision.moves) == (side, False)
    assert await content(source, side[:8]) == "2"


async def test_abbreviated_commit_on_no_branch_is_found_after_its_full_name(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    lost = repository.commit("2")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    with pytest.raises(TagUnknown):
        await source.find(lost[:9])

    await source.find(lost)

    assert (await source.find(lost[:9])).label == lost


def beginning_alike(repository: Repository) -> tuple[str, str]:
    """Two commits whose names have the first seven digits in common."""
    head = repository.git("cat-file", "commit", "HEAD")
    seen: dict[str, str] = {}
    for number in itertools.count():
        text = f"{head}\n{number}\n"
        body = b"commit %d\0" % len(text) + text.encode()
        start = hashlib.sha1(body, usedforsecurity=False).hexdigest()[:7]
        if start in seen:
            return seen[start], text
        seen[start] = text
    raise AssertionError


async def test_ambiguous_abbreviation_is_an_error_with_its_commits(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    on_branch, lost = (repository.keep(text) for text in beginning_alike(repository))
    repository.git("reset", "--quiet", "--hard", on_branch)
    await source.find(lost)

    with pytest.raises(TagUnknown) as failure:
        await source.find(lost[:7])

    first, second = sorted((on_branch, lost))
    assert failure.value.message == f"{lost[:7]} is ambiguous: {first[:12]} or {second[:12]}"


async def test_error_for_an_unknown_ref_lists_the_refs(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    repository.git("branch", "release-1")
    repository.git("tag", "v1")

    with pytest.raises(
        TagUnknown, match=r"no branch, tag or commit v2.*latest, main, release-1, v1"
    ):
        await source.find("v2")


@pytest.mark.parametrize("tag", ["0" * 40, "0" * 12])
async def test_missing_commit_is_unknown(
    repository: Repository, source: GitUpstream, tag: str
) -> None:
    repository.commit("1")

    with pytest.raises(TagUnknown, match="no branch, tag or commit 0000"):
        await source.find(tag)


async def test_unknown_tags_cost_one_query(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    refs = GitCommand.refs

    async def counted(git: GitCommand, location: str) -> dict[str, str]:
        asked.append(location)
        return await refs(git, location)

    monkeypatch.setattr(GitCommand, "refs", counted)
    repository.commit("1")
    definition = GitDefinition(name="set", location=repository.url)
    source = upstream(definition, tmp_path / "state", clock=lambda: 0)

    failures = await asyncio.gather(
        *(source.find(f"junk-{number}") for number in range(30)), return_exceptions=True
    )

    assert {type(failure) for failure in failures} == {TagUnknown}
    assert asked == [repository.url]


async def test_long_list_of_refs_is_truncated(repository: Repository, source: GitUpstream) -> None:
    repository.commit("1")
    for number in range(30):
        repository.git("tag", f"v{number}")

    with pytest.raises(TagUnknown, match="and 19 more"):
        await source.find("nope")


async def test_an_error_has_a_bounded_number_of_refs(
    repository: Repository, source: GitUpstream
) -> None:
    commit = repository.commit("1")
    rows = "".join(f"{commit} refs/tags/v{number}\n" for number in range(3000))
    (repository.path / ".git" / "packed-refs").write_text(rows)

    with pytest.raises(TagUnknown, match="and 2989 more") as failure:
        await source.find("nope")

    assert len(str(failure.value.detail)) < 2000
    assert len(await source.tags()) == 3002


async def test_host_with_endless_refs_is_unavailable(
    repository: Repository, source: GitUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit("1")
    rows = "".join(f"{commit} refs/tags/v{number}\n" for number in range(3000))
    (repository.path / ".git" / "packed-refs").write_text(rows)
    monkeypatch.setattr(gitcommand, "_REFS", 64 * 1024)  # or it would take seconds

    with pytest.raises(SourceUnavailable, match="its response has more than"):
        await source.find("nope")


async def test_host_with_an_endless_pack_is_unavailable(
    repository: Repository, source: GitUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = repository.commit(os.urandom(60_000).hex())
    monkeypatch.setattr(gitcommand, "_FILE", 16 * 1024)

    with pytest.raises(SourceUnavailable, match="cannot store what the host sends"):
        await content(source, commit)

    left = (file for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert max(file.stat().st_size for file in left) <= 16 * 1024
    monkeypatch.undo()
    assert len(await content(source, commit)) == 120_000


async def test_only_allowed_refs_are_listed(repository: Repository, tmp_path: Path) -> None:
    repository.commit("1")
    repository.git("branch", "secret")
    definition = GitDefinition(name="set", location=repository.url, refs=("main",))

    with pytest.raises(TagUnknown) as failure:
        await upstream(definition, tmp_path / "state").find("nope")

    assert "secret" not in str(failure.value.detail) + failure.value.message


async def test_refs_that_are_invalid_as_tags_are_not_listed(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    repository.git("branch", "feature/x")

    with pytest.raises(TagUnknown) as failure:
        await source.find("nope")

    assert failure.value.detail == {"tags": ["latest", "main"]}


async def test_cached_tags_are_those_of_the_last_query(
    repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit("1")
    repository.git("branch", "feature/x")
    repository.git("tag", "--annotate", "--message", "x", "v1")
    refs = ("main", "gone", "v*", commit)
    definition = GitDefinition(
        name="set",
        location=repository.url,
        default_ref="main",
        refs=refs,
        revision_seconds=0,
    )
    source = upstream(definition, tmp_path / "state")
    assert source.cached_tags() == tuple(sorted(("gone", "main", commit)))

    await source.find("latest")
    repository.git("tag", "v2")

    assert source.cached_tags() == tuple(sorted(("main", "v1", commit)))
    await source.find("v1")
    assert source.cached_tags() == tuple(sorted(("main", "v1", "v2", commit)))


async def test_submodules_are_empty_and_listed(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    other.commit("other")
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", other.url, "vendor/the other")
    repository.commit("1")

    async with source.checkout(await source.find("latest")) as package_set:
        assert list((Path(package_set.reference) / "vendor" / "the other").iterdir()) == []
        assert package_set.submodules == ("vendor/the other",)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("120000 .gitmodules", "git refuses the name .gitmodules"),
        ("100644 .git", "git refuses the name .git"),
        (f"100644 {'x' * 300}", "a name or a link is too long"),
    ],
)
async def test_invalid_files_are_refused_and_leave_no_files(
    repository: Repository, source: GitUpstream, tmp_path: Path, entry: str, why: str
) -> None:
    commit = repository.commit_of(entry)

    with pytest.raises(Refused, match=f"^the files of source set cannot be unpacked: {why}$"):
        await content(source, commit)

    assert list((tmp_path / "state" / "trees").iterdir()) == []


async def test_commit_with_too_many_files_is_refused(
    repository: Repository, source: GitUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitfiles, "_LISTING", 1024 * 1024)  # or it would take a minute
    tree = repository.git("rev-parse", f"{repository.commit('content')}^{{tree}}")
    for _ in range(10):
        tree = repository.tree(*(f"040000 tree {tree}\tdirectory-{n}" for n in range(10)))
    commit = repository.git("commit-tree", tree, "-m", "10 000 000 000 files")

    with pytest.raises(Refused, match="cannot be unpacked: there are too many"):
        await content(source, commit)


async def test_commit_with_too_large_files_is_refused(
    repository: Repository, source: GitUpstream
) -> None:
    (repository.path / "large").write_bytes(bytes(1024 * 1024))
    blob = repository.git("hash-object", "-w", "large")
    tree = repository.tree(*(f"100644 blob {blob}\tlarge-{n}" for n in range(4097)))
    commit = repository.git("commit-tree", tree, "-m", "a file too many")

    with pytest.raises(Refused, match="cannot be unpacked: they have more than 4 GiB"):
        await content(source, commit)


async def test_commit_with_too_deep_files_is_refused(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    tree = repository.git("rev-parse", f"{repository.commit('content')}^{{tree}}")
    for _ in range(201):
        tree = repository.tree(f"040000 tree {tree}\td")
    commit = repository.git("commit-tree", tree, "-m", "deep")

    with pytest.raises(Refused, match="cannot be unpacked: they have more than 200 levels"):
        await content(source, commit)

    assert list((tmp_path / "state" / "trees").iterdir()) == []


async def test_commits_are_fetched_beside_a_branch_of_many_components(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    first = repository.commit("1")
    with removing(repository.path, tmp_path / "state"):
        repository.git("update-ref", f"refs/heads/{'d/' * 1000}end", first)

        assert (await source.find(first[:12])).label == first
        second = repository.commit("2")
        later = upstream(GitDefinition(name="set", location=repository.url), tmp_path / "state")
        assert (await later.find(second[:12])).label == second


async def test_commit_with_an_invalid_date_is_refused(
    repository: Repository, source: GitUpstream
) -> None:
    repository.commit("1")
    lines = repository.git("cat-file", "commit", "HEAD").replace("1714525200", "1" + "0" * 14)
    commit = repository.keep(f"{lines}\n")

    with pytest.raises(Refused, match="cannot be unpacked: their date is invalid"):
        await source.find(commit)


async def test_invalid_gitmodules_is_ignored(repository: Repository, source: GitUpstream) -> None:
    repository.commit("no configuration", ".gitmodules")

    async with source.checkout(await source.find("latest")) as package_set:
        assert package_set.submodules == ()


async def test_error_for_a_missing_repository_is_without_its_address(
    tmp_path: Path,
) -> None:
    definition = GitDefinition(name="set", location=f"file://{tmp_path}/nowhere/secret")

    with pytest.raises(SourceUnavailable, match="source set cannot be reached") as failure:
        await upstream(definition, tmp_path / "state").find("latest")

    assert str(tmp_path) not in failure.value.message


async def test_silent_host_is_a_time_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = f"http://127.0.0.1:{silent.getsockname()[1]}/r.git"
        definition = GitDefinition(name="set", location=location)
        waiting = upstream(definition, tmp_path / "state", listing_seconds=0.5)

        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(
            SourceUnavailable, match=rf"cannot be reached: no response from {host} within 0\.5 s"
        ):
            await waiting.find("latest")


async def test_fetched_commit_is_served_without_the_repository(
    repository: Repository, source: GitUpstream
) -> None:
    commit = repository.commit("1")
    await source.find("latest")
    repository.path.rename(repository.path.with_name("gone"))

    assert await content(source, commit) == "1"
    with pytest.raises(SourceUnavailable):
        await source.find("0" * 40)


async def test_tree_has_the_modes_links_and_date_of_the_commit(
    repository: Repository, source: GitUpstream
) -> None:
    (repository.path / "run").write_text("#!/bin/sh\n")
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("run")
    (repository.path / "away").symlink_to("/")
    repository.commit("export-ignore\n", ".gitattributes")

    async with source.checkout(await source.find("latest")) as package_set:
        tree = Path(package_set.reference)

        names = sorted(entry.name for entry in tree.iterdir())
        assert names == [".gitattributes", "away", "link", "run"]
        assert (tree / "run").stat().st_mode & stat.S_IXUSR
        assert (tree / "link").readlink() == Path("run")
        assert tree.name == "source"
        for entry in (tree, *tree.iterdir()):
            assert entry.lstat().st_mtime == datetime(2024, 5, 1, 1, tzinfo=UTC).timestamp()


async def test_a_server_that_is_stopped_in_a_fetch_delays_others_for_a_time(
    repository: Repository, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    source = upstream(GitDefinition(name="set", location=repository.url), state, seconds=0.1)
    async with locked(state / "git" / "set.lock", EXCLUSIVE, workers=WORKERS):
        with pytest.raises(GitFailed, match=r"another fetch of its files .* within 0\.1 s"):
            async with asyncio.timeout(20):
                await source._git.fetch_history(state / "git" / "set", repository.url)


async def test_fetch_succeeds_after_a_killed_one(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    repository.commit("1")
    await source.find("latest")
    (state,) = (tmp_path / "state" / "git").glob("*.commits")
    left = [state / "shallow.lock", state / "objects" / "pack" / "tmp_pack_0"]
    for file in left:
        file.touch()
    second = repository.commit("2")

    assert (await source.find("latest")).label == second
    assert not any(file.exists() for file in left)


async def test_fetched_objects_are_one_pack(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    repository.commit("1")
    await source.find("latest")

    (state,) = (tmp_path / "state" / "git").glob("*.commits")
    directories = {entry.name for entry in (state / "objects").iterdir()}
    assert directories == {"info", "pack"}
    assert len(list((state / "objects" / "pack").glob("*.idx"))) == 1


async def test_configuration_of_the_user_is_ignored(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit("1")
    home = tmp_path / "state" / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = file:///\n')
    source = upstream(GitDefinition(name="set", location=repository.url), tmp_path / "state")

    assert (await source.find("latest")).label == commit


def test_location_with_a_password_is_rejected() -> None:
    for location in ("https://user:secret@host/r.git", "https://token@host/r.git"):
        with pytest.raises(ValueError, match="a user name or password"):
            GitDefinition(name="set", location=location)

    GitDefinition(name="set", location="ssh://git@host/r.git")
    GitDefinition(name="set", location="git@host:r.git")

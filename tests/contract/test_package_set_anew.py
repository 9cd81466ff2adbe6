"""The package set on machines that are not the one its lock was made on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nix.debian.generator.lock import Lock, read_lock, write_lock
from nix.debian.generator.nixstore import nix_environment
from nix.debian.generator.prepare import Preparation
from nix.debian.generator.release import Release
from nix.debian.generator.seed import VersionsGone, seed, versions_gone
from nix.debian.generator.setdir import SetDirectory, refresh
from nix.debian.generator.workplace import Host, Workplace, read_host
from tests.contract.mirror import make_mirror
from tests.contract.stores import Stranger, evaluate, hashes, make_stranger, nix, prepare

pytestmark = pytest.mark.e2e

NATIVE = "x86_64-linux"
BOTH = (NATIVE, "aarch64-linux")
RELEASES = ("bookworm", "trixie")


@pytest.fixture(scope="module")
def prepared() -> SetDirectory:
    """The committed set, or where that is of another release, the one resolved here."""
    return SetDirectory(prepare())


@pytest.fixture(scope="module")
def lock(prepared: SetDirectory) -> Lock:
    return read_lock(prepared.lock(NATIVE))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, prepared: SetDirectory) -> Stranger:
    """A sandbox with an empty store, after one preparation."""
    stranger = make_stranger(tmp_path_factory.mktemp("stranger"))
    place = Workplace(read_host(), stranger.cache, stranger.store)
    Preparation("small", (NATIVE,), place, prepared).prepare()
    return stranger


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, lock: Lock, stranger: Stranger) -> Mapping[str, str]:  # fmt: skip
    """An archive with the lock's packages, under the names of two releases."""
    packages = [stranger.cache / f"debs/{deb.sha256}.deb" for deb in lock.debs.values()]
    return make_mirror(tmp_path_factory.mktemp("mirror"), RELEASES, packages)


def at(stranger: Stranger, source: Mapping[str, str], release: Release, cache: Path) -> Workplace:
    """The stranger's store from a machine of that release, which has downloaded nothing yet."""
    return Workplace(Host(release, read_host().architecture, (source,)), cache, stranger.store)


def pinned_to_what_is_gone(lock: Lock, directory: Path) -> SetDirectory:
    """The tree, with a lock that names a version of hello no archive has."""
    tree = SetDirectory(directory)
    refresh(tree)
    hello = replace(
        lock.debs["hello"], version="0.1-1", file="hello_0.1-1_amd64.deb", sha256="0" * 64
    )
    write_lock(replace(lock, debs={**lock.debs, "hello": hello}), tree.lock(NATIVE))
    return tree


def test_another_store_and_a_sandbox_give_the_same_paths_and_contents(stranger: Stranger) -> None:
    root = (stranger.cache / f"roots/small-units-{NATIVE}").readlink()
    theirs, ours = stranger.store.environment, nix_environment()
    paths = nix("nix-store", "-qR", root, environment=theirs).split()
    assert len(paths) > 100
    assert hashes(paths, theirs) == hashes(paths, ours)


def test_what_the_archive_no_longer_has_is_named(
    stranger: Stranger, source: Mapping[str, str], lock: Lock, tmp_path: Path
) -> None:
    place = at(stranger, source, lock.release, tmp_path / "cache")
    pinned = read_lock(pinned_to_what_is_gone(lock, tmp_path / "tree").lock(NATIVE))
    assert versions_gone(place, lock, lock.debs.values()) == ()
    assert [deb.package for deb in versions_gone(place, pinned, pinned.debs.values())] == ["hello"]
    with pytest.raises(VersionsGone, match=r"the archive no longer has hello 0\.1-1"):
        seed(place, pinned)


def test_if_a_version_is_gone_the_set_is_resolved_again_outside_the_tree(
    stranger: Stranger,
    source: Mapping[str, str],
    lock: Lock,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tree = pinned_to_what_is_gone(lock, tmp_path / "tree")
    before = tree.lock(NATIVE).read_bytes()
    place = at(stranger, source, lock.release, tmp_path / "cache")
    preparation = Preparation("small", (NATIVE,), place, tree)
    made = preparation.prepare()
    printed = capsys.readouterr().err
    assert "the archive no longer has hello 0.1-1" in printed
    assert f"resolving again for {lock.release}, into {made}" in printed
    assert made.is_relative_to(place.cache)
    assert tree.lock(NATIVE).read_bytes() == before
    # The archive has what the committed lock was made from, so the same is found again.
    assert read_lock(SetDirectory(made).lock(NATIVE)) == lock

    assert preparation.prepare() == made
    assert "resolving" not in capsys.readouterr().err


def test_another_release_is_resolved_again_without_architectures_it_lacks(
    stranger: Stranger,
    source: Mapping[str, str],
    prepared: SetDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    release = read_lock(prepared.lock(NATIVE)).release
    [codename] = set(RELEASES) - {release.codename}
    other = Release("debian", codename)
    place = at(stranger, source, other, tmp_path / "cache")
    preparation = Preparation("small", BOTH, place, prepared)
    made = SetDirectory(preparation.prepare())
    printed = capsys.readouterr().err
    assert f"made for {release}; this machine has {other}" in printed
    assert f"resolving again for {other}" in printed
    assert "leaving out aarch64-linux" in printed
    assert read_lock(made.lock(NATIVE)).release == other
    assert not made.lock("aarch64-linux").exists()

    assert preparation.prepare() == made.path
    assert "resolving" not in capsys.readouterr().err


def test_a_set_in_the_cache_is_a_package_source_by_itself(
    prepared: SetDirectory, lock: Lock, tmp_path: Path
) -> None:
    copy = SetDirectory(tmp_path / "copy")
    refresh(copy)
    write_lock(lock, copy.lock(NATIVE))
    paths = "(import {} {{ }}).git.outPath"
    assert evaluate(paths.format(copy.path)) == evaluate(paths.format(prepared.path))

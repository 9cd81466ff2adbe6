"""A real apt, with a directory as archive."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nix.debian.generator.apt import Apt, AptFailed, private_apt
from nix.debian.generator.archive import Archive
from nix.debian.generator.downloads import ContentDiffers, Downloads
from nix.debian.generator.lock import Deb
from nix.debian.generator.nixstore import NixStore
from nix.debian.generator.release import ARCHITECTURES, Release
from nix.debian.generator.workplace import Host, Workplace
from tests.contract.mirror import make_mirror
from tests.unit.debian.debs import Package

pytestmark = pytest.mark.slow

AMD64 = ARCHITECTURES["x86_64-linux"]
RELEASE = Release("debian", "tested")
TOOL = Package(name="tool", version="1:2.0~rc1-3", files={"usr/bin/tool": b"#!/bin/sh\n"})
DATA = Package(name="data", architecture="all", files={"usr/share/data/x": b"x"})


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    (tmp_path / "debs").mkdir()
    packages = [p.write(tmp_path / f"debs/{p.name}.deb") for p in (TOOL, DATA)]
    (tmp_path / "mirror").mkdir()
    source = make_mirror(tmp_path / "mirror", ("tested",), packages)
    return Workplace(Host(RELEASE, AMD64, (source,)), tmp_path / "cache", NixStore({}))


@pytest.fixture
def apt(place: Workplace) -> Iterator[Apt]:
    with private_apt(place, RELEASE, "amd64") as apt:
        apt.update()
        yield apt


@pytest.fixture
def archive(place: Workplace, apt: Apt) -> Archive:
    return Archive(apt, apt.packages(), Downloads(place.downloads), place.cache / "scans")


def test_index_is_that_of_the_archive(apt: Apt) -> None:
    packages = apt.packages()
    assert sorted(packages) == ["data", "tool"]
    assert packages["tool"]["Version"] == TOOL.version


def test_versions_are_those_of_the_archive(apt: Apt) -> None:
    assert apt.versions(["tool", "data", "absent"]) == {
        ("tool", TOOL.version),
        ("data", DATA.version),
    }


def test_archive_without_packages_for_an_architecture_is_an_error(place: Workplace) -> None:
    with private_apt(place, RELEASE, "arm64") as apt:
        apt.update()
        with pytest.raises(AptFailed, match="no packages for arm64"):
            apt.packages()


def test_missing_archive_is_an_error(place: Workplace) -> None:
    with private_apt(place, Release("debian", "tested"), "amd64") as apt:
        apt.source.write_text(apt.source.read_text().replace("Suites: tested", "Suites: untested"))
        with pytest.raises(AptFailed):
            apt.update()


def test_store_name_has_neither_epoch_nor_invalid_characters(archive: Archive) -> None:
    deb = archive.deb("tool")
    assert deb.file == "tool_2.0-rc1-3_amd64.deb"
    assert (deb.version, deb.architecture) == (TOOL.version, "amd64")


def test_packages_are_downloaded_once_and_cached_by_hash(archive: Archive) -> None:
    debs = [archive.deb("tool"), archive.deb("data")]
    archive.downloads.fetch(archive.apt, debs)
    assert archive.downloads.missing(debs) == ()
    assert {path.name for path in archive.downloads.directory.iterdir()} == {
        f"{deb.sha256}.deb" for deb in debs
    }
    archive.apt.source.write_text("")  # a second query would fail
    archive.downloads.fetch(archive.apt, debs)


def test_bytes_with_another_hash_are_rejected_and_not_cached(archive: Archive) -> None:
    real = archive.deb("tool")
    forged = Deb(real.package, real.version, real.architecture, real.file, "0" * 64, real.size)
    with pytest.raises(ContentDiffers, match="tool"):
        archive.downloads.fetch(archive.apt, [forged])
    assert archive.downloads.missing([forged]) == (forged,)


def test_download_of_a_missing_version_fails(archive: Archive) -> None:
    real = archive.deb("tool")
    gone = Deb(real.package, "0.1", real.architecture, real.file, "0" * 64, real.size)
    with pytest.raises(AptFailed, match=r"0\.1"):
        archive.downloads.fetch(archive.apt, [gone])


def test_packages_are_scanned_once(archive: Archive) -> None:
    contents = archive.contents([archive.deb("tool"), archive.deb("data")])
    assert contents["tool"].interpreters == ("sh",)
    assert contents["tool"].programs == ("tool",)
    for path in archive.downloads.directory.iterdir():
        path.write_bytes(b"")  # a second scan would find nothing
    assert archive.contents([archive.deb("tool")]) == {"tool": contents["tool"]}


def test_source_file_is_removed_after_use(place: Workplace) -> None:
    with private_apt(place, RELEASE, "amd64") as apt:
        source = apt.source
        assert source.is_file()
    assert not source.exists()
    assert not source.is_relative_to(place.cache)

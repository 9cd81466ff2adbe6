"""A real apt, with a directory for an archive."""

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


def test_the_index_is_the_archives(apt: Apt) -> None:
    packages = apt.packages()
    assert sorted(packages) == ["data", "tool"]
    assert packages["tool"]["Version"] == TOOL.version


def test_versions_are_what_the_archive_has(apt: Apt) -> None:
    assert apt.versions(["tool", "data", "absent"]) == {
        ("tool", TOOL.version),
        ("data", DATA.version),
    }


def test_an_archive_without_packages_for_a_machine_is_an_error(place: Workplace) -> None:
    with private_apt(place, RELEASE, "arm64") as apt:
        apt.update()
        with pytest.raises(AptFailed, match="no packages for arm64"):
            apt.packages()


def test_an_archive_that_is_not_there_is_an_error(place: Workplace) -> None:
    with private_apt(place, Release("debian", "tested"), "amd64") as apt:
        apt.source.write_text(apt.source.read_text().replace("Suites: tested", "Suites: untested"))
        with pytest.raises(AptFailed):
            apt.update()


def test_a_packages_name_in_the_store_has_no_epoch_and_no_odd_characters(archive: Archive) -> None:
    deb = archive.deb("tool")
    assert deb.file == "tool_2.0-rc1-3_amd64.deb"
    assert (deb.version, deb.architecture) == (TOOL.version, "amd64")


def test_packages_are_downloaded_once_and_kept_by_their_hash(archive: Archive) -> None:
    debs = [archive.deb("tool"), archive.deb("data")]
    archive.downloads.fetch(archive.apt, debs)
    assert archive.downloads.missing(debs) == ()
    assert {path.name for path in archive.downloads.directory.iterdir()} == {
        f"{deb.sha256}.deb" for deb in debs
    }
    archive.apt.source.write_text("")  # whoever asks again would notice
    archive.downloads.fetch(archive.apt, debs)


def test_other_bytes_than_were_named_are_refused_and_not_kept(archive: Archive) -> None:
    real = archive.deb("tool")
    forged = Deb(real.package, real.version, real.architecture, real.file, "0" * 64, real.size)
    with pytest.raises(ContentDiffers, match="tool"):
        archive.downloads.fetch(archive.apt, [forged])
    assert archive.downloads.missing([forged]) == (forged,)


def test_a_version_that_is_gone_fails_the_download(archive: Archive) -> None:
    real = archive.deb("tool")
    gone = Deb(real.package, "0.1", real.architecture, real.file, "0" * 64, real.size)
    with pytest.raises(AptFailed, match=r"0\.1"):
        archive.downloads.fetch(archive.apt, [gone])


def test_what_packages_hold_is_looked_at_once(archive: Archive) -> None:
    contents = archive.contents([archive.deb("tool"), archive.deb("data")])
    assert contents["tool"].interpreters == ("sh",)
    assert contents["tool"].programs == ("tool",)
    for path in archive.downloads.directory.iterdir():
        path.write_bytes(b"")  # whoever looks again finds nothing
    assert archive.contents([archive.deb("tool")]) == {"tool": contents["tool"]}


def test_the_source_lives_no_longer_than_it_is_used(place: Workplace) -> None:
    with private_apt(place, RELEASE, "amd64") as apt:
        source = apt.source
        assert source.is_file()
    assert not source.exists()
    assert not source.is_relative_to(place.cache)

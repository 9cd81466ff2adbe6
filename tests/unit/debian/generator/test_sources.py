from pathlib import Path

import pytest

from nix.debian.generator.deb822 import paragraphs
from nix.debian.generator.release import Release
from nix.debian.generator.sources import NoSource, configured, parse_one_line, source_for

BOOKWORM = Release("debian", "bookworm")
TRIXIE = Release("debian", "trixie")
NOBLE = Release("ubuntu", "noble")

DEB822 = """\
# a comment
Types: deb deb-src
URIs: file:/mirror/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: file:/mirror/other
Suites: bookworm
Components: main
"""


def only_paragraph(text: str) -> dict[str, str]:
    (fields,) = paragraphs(text.splitlines())
    return fields


def test_source_is_one_suite_and_component_of_the_archive_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/debian.sources.disabled").write_text(DEB822)
    source = only_paragraph(source_for(BOOKWORM, BOOKWORM, configured(tmp_path)))
    assert source == {
        "Types": "deb",
        "URIs": "file:/mirror/debian",
        "Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg",
        "Suites": "bookworm",
        "Components": "main",
    }


def test_another_release_uses_the_same_archive(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb file:/mirror bookworm main\n")
    source = only_paragraph(source_for(TRIXIE, BOOKWORM, configured(tmp_path)))
    assert (source["URIs"], source["Suites"]) == ("file:/mirror", "trixie")


def test_host_that_follows_stable_has_a_source(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb file:/mirror stable main\n")
    assert "Suites: bookworm" in source_for(BOOKWORM, BOOKWORM, configured(tmp_path))


def test_ubuntus_packages_come_from_two_components(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb file:/mirror noble main restricted\n")
    source = only_paragraph(source_for(NOBLE, NOBLE, configured(tmp_path)))
    assert source["Components"] == "main universe"


def test_host_without_a_source_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "deb file:/mirror bookworm-security main\n# deb file:/mirror bookworm main\n"
    )
    with pytest.raises(NoSource, match="bookworm"):
        source_for(BOOKWORM, BOOKWORM, configured(tmp_path))


def test_trust_options_of_one_line_sources_are_kept() -> None:
    (fields,) = parse_one_line(
        "deb-src file:/mirror bookworm main\n"
        "deb [arch=amd64 signed-by=/keys/a.gpg trusted=yes] file:/mirror bookworm main # here\n"
    )
    assert fields == {
        "Types": "deb",
        "URIs": "file:/mirror",
        "Suites": "bookworm",
        "Components": "main",
        "Signed-By": "/keys/a.gpg",
        "Trusted": "yes",
    }

"""What an image's labels state of its packages."""

import pytest

from app.builder.builds.labels import _described
from app.builder.nix import results
from app.builder.nix.results import Found
from app.builder.sources.definition import ChannelDefinition, GitDefinition, PathDefinition

BASE = "/nix/store/00000000000000000000000000000001-x"


def package(name: str, **stated: object) -> Found:
    row = {"status": "package", "attribute": name, "derivation": f"{BASE}.drv", "output": "out"}
    found = results.parse({**row, "path": BASE, "pname": name, **stated})
    assert isinstance(found, Found)
    return found


def labels(*packages: Found) -> dict[str, str]:
    return {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in _described(packages).items()
    }


def licenses(*identifiers: str | None) -> list[object]:
    return [{"name": "some", "free": True, "spdx": identifier} for identifier in identifiers]


def test_one_package_describes_its_image() -> None:
    tool = package(
        "tool", version="1.0", description="A tool", homepage="https://example.org/", licenses=[]
    )

    assert labels(tool) == {
        "title": "tool", "version": "1.0", "description": "A tool", "url": "https://example.org/",
    }  # fmt: skip


def test_documentation_is_stated_where_a_package_does() -> None:
    tool = package("tool", documentation="https://example.org/manual", licenses=[])
    other = package("other", documentation="javascript:alert(1)", licenses=[])

    assert labels(tool) == {"title": "tool", "documentation": "https://example.org/manual"}
    assert labels(other) == {"title": "other"}
    assert labels(tool, other) == {"title": "tool, other"}


def test_several_packages_have_a_title_and_licenses_in_common() -> None:
    a = package("a", version="1", homepage="https://a.example/", licenses=licenses("MIT", "X11"))
    b = package("b", licenses=licenses("MIT"))

    assert labels(a, b) == {"title": "a, b", "licenses": "MIT AND X11"}


@pytest.mark.parametrize("stated", [[], licenses(None), licenses("MIT", None), licenses("a b")])
def test_licenses_that_are_not_all_known_are_not_stated(stated: list[object]) -> None:
    known = package("known", licenses=licenses("MIT"))

    assert "licenses" not in labels(known, package("other", licenses=stated))


def test_a_source_is_stated_if_it_is_on_the_web() -> None:
    git = GitDefinition(name="a", location="https://example.org/packages.git")
    ssh = GitDefinition(name="b", location="ssh://git@example.org/packages.git")

    assert git.published_at("abc") == "https://example.org/packages.git"
    assert ssh.published_at("abc") is None
    assert PathDefinition(name="c", location="/srv/packages").published_at("abc") is None
    assert ChannelDefinition(name="d").published_at("abc") == (
        "https://github.com/NixOS/nixpkgs/archive/abc.tar.gz"
    )

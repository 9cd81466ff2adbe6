"""Package sets without certificates and names of services, which come from a base source then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.door import SMALL, SYSTEM
from tests.e2e.sourceservers import StartSources, labels, manifest, message, source_servers
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

COMPANY = f"""
{{ ... }}: {{
  tool = derivation {{
    name = "tool-1"; system = "{SYSTEM}"; builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir -p $out/bin; echo > $out/bin/tool" ];
  }};
}}
"""
FLAKE = f"""
{{ outputs = {{ self }}: {{ packages.{SYSTEM} = import ./default.nix {{ }}; }}; }}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "base" / "default.nix"
    file.parent.mkdir()
    file.write_text((SMALL / "base.nix").read_text())
    return file


@pytest.fixture
def company(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "company")
    repository.commit(FLAKE, "flake.nix")
    repository.commit(COMPANY)
    return repository


@pytest.fixture
def start(tmp_path: Path, base: Path, company: Repository) -> Iterator[StartSources]:
    """Start a server with the base as its default source, and a company's."""
    with source_servers(tmp_path) as start:
        own = {
            "base": f'kind = "path"\nlocation = "{base.parent}"',
            "company": f'kind = "git"\nlocation = "{company.url}"',
        }
        yield lambda **sources: start(**(own | sources))


@pytest.mark.parametrize("kind", ["git", "flake"])
def test_what_every_image_has_comes_from_the_default_source(
    start: StartSources, company: Repository, kind: str
) -> None:
    server = start(company=f'kind = "{kind}"\nlocation = "{company.url}"')

    response = manifest(server, "company/tool")

    found = labels(server, response)
    assert found["nixery.packages"] == "cacert-1 iana-etc-1 tool-1"
    assert found["nixery.source"] == "company"
    assert found["nixery.base"].startswith("base ")
    assert "Warning" not in response.headers


def test_the_shell_comes_from_the_base_where_the_source_has_none(start: StartSources) -> None:
    server = start()

    found = labels(server, manifest(server, "company/shell/tool"))

    assert found["nixery.packages"].split() == [
        "bashInteractive", "cacert-1", "coreutils", "iana-etc-1", "moreutils", "nano", "tool-1"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["absent", "absent/shell", "absent/tool"])
def test_an_unknown_name_is_refused_by_that_name_alone(start: StartSources, name: str) -> None:
    response = manifest(start(), f"company/{name}")

    assert response.status_code == 404
    assert message(response).startswith("no such package: absent")
    assert "cacert" not in response.text
    assert "bash" not in response.text


def test_a_base_package_in_the_name_is_the_sources_own(start: StartSources) -> None:
    response = manifest(start(), "company/tool/cacert")

    assert response.status_code == 404
    assert message(response).startswith("no such package: cacert")
    assert "iana-etc" not in response.text


def test_an_image_follows_the_revision_of_its_base(start: StartSources, base: Path) -> None:
    server = start()
    before = server.digest("company/tool")

    base.write_text(base.read_text().replace("-1", "-2"))

    assert "cacert-2" in labels(server, manifest(server, "company/tool"))["nixery.packages"]
    assert server.digest("company/tool") != before


def test_another_base_can_be_chosen(
    start: StartSources, company: Repository, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "default.nix"
    other.parent.mkdir()
    other.write_text((SMALL / "base.nix").read_text().replace("-1", "-7"))
    server = start(
        company=f'kind = "git"\nlocation = "{company.url}"\nbase = "other"',
        other=f'kind = "path"\nlocation = "{other.parent}"',
    )

    found = labels(server, manifest(server, "company/tool"))

    assert "cacert-7" in found["nixery.packages"]
    assert found["nixery.base"].startswith("other ")


def test_a_base_that_cannot_be_reached_is_a_503_that_names_it(
    start: StartSources, company: Repository, tmp_path: Path
) -> None:
    server = start(
        company=f'kind = "git"\nlocation = "{company.url}"\nbase = "gone"',
        gone=f'kind = "git"\nlocation = "file://{tmp_path}/gone"',
    )

    response = manifest(server, "company/tool")

    assert response.status_code == 503
    assert "source gone cannot be reached" in message(response)
    assert "gone is the base of source company" in message(response)


def test_a_base_that_does_not_evaluate_is_named_as_such(start: StartSources, base: Path) -> None:
    base.write_text("{ ... }: abort ''out of order''")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403
    assert "the package set of source base does not evaluate" in message(response)
    assert "base is the base of source company" in message(response)


@pytest.mark.parametrize("settings", ['base = ""', 'base = "company"'])
def test_without_a_base_a_warning_names_what_the_image_lacks(
    start: StartSources, company: Repository, settings: str
) -> None:
    server = start(company=f'kind = "git"\nlocation = "{company.url}"\n{settings}')

    for _ in range(2):
        response = manifest(server, "company/tool")
        assert labels(server, response)["nixery.packages"] == "tool-1"
        assert "no CA certificates (cacert) and no names of services" in response.headers["Warning"]

    shell = manifest(server, "company/shell")
    assert shell.status_code == 404
    assert message(shell).startswith("source company has no shell: bashInteractive, coreutils")


def test_a_base_that_lacks_one_of_them_is_warned_of(start: StartSources, base: Path) -> None:
    base.write_text(base.read_text().replace('iana-etc = package "iana-etc-1";', ""))
    server = start()

    response = manifest(server, "company/tool")

    assert labels(server, response)["nixery.packages"] == "cacert-1 tool-1"
    assert "neither has its base base" in response.headers["Warning"]
    assert "CA certificates" not in response.headers["Warning"]


def test_a_source_that_has_them_needs_no_base(
    start: StartSources, company: Repository, base: Path, tmp_path: Path
) -> None:
    whole = base.read_text().replace("cacert-1", "cacert-8")
    company.commit(whole, "whole.nix")
    company.commit(COMPANY.replace("{ ... }: {", "a: (import ./whole.nix a) // {"))
    server = start()
    before = server.digest("company/tool")

    base.unlink()
    base.parent.rmdir()

    response = manifest(server, "company/tool")
    assert response.headers["Docker-Content-Digest"] == before
    assert "nixery.base" not in labels(server, response)
    assert "cacert-8" in labels(server, response)["nixery.packages"]


@pytest.mark.parametrize("refused", ["meta.broken = true;", 'outPath = throw "removed";'])
def test_an_own_base_package_that_cannot_be_had_counts_as_absent(
    start: StartSources, company: Repository, refused: str
) -> None:
    text = COMPANY.replace("{ ... }: {", f"{{ ... }}: rec {{ cacert = tool // {{ {refused} }};")
    company.commit(text)
    server = start()

    found = labels(server, manifest(server, "company/tool"))

    assert found["nixery.packages"] == "cacert-1 iana-etc-1 tool-1"


def test_bases_in_a_circle_are_each_used_once(start: StartSources, company: Repository) -> None:
    own = f'kind = "git"\nlocation = "{company.url}"\nbase = '
    server = start(company=f'{own}"other"', other=f'{own}"company"', itself=f'{own}"itself"')

    for name in ("company", "other", "itself"):
        response = manifest(server, f"{name}/tool")
        assert "tool-1" in labels(server, response)["nixery.packages"]
        assert "the image has no CA certificates" in response.headers["Warning"]

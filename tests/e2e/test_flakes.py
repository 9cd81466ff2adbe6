"""Flakes as people have them: with inputs, without a lock file, in a subdirectory."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.door import SMALL, SYSTEM
from tests.e2e.flakelocks import lock, nar_hash
from tests.e2e.server import Server
from tests.e2e.sourceservers import labels, manifest, message, source_servers
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

OTHER = {"x86_64-linux": "aarch64-linux", "aarch64-linux": "x86_64-linux"}[SYSTEM]
PACKAGE = (
    'system: name: derivation { inherit name system; builder = "/bin/sh"; '
    'args = [ "-c" "/bin/mkdir $out; echo > $out/file" ]; }'
)
LIBRARY = f"{{ outputs = {{ self }}: {{ package = {PACKAGE}; }}; }}"
COMPANY = f"""
{{
  inputs.library.url = "LIBRARY";
  outputs = {{ self, library }}: {{
    packages.{SYSTEM} = {{
      tool = library.package "{SYSTEM}" "tool-1";
      other = library.package "{SYSTEM}" "other-1";
      default = library.package "{SYSTEM}" "default-1";
    }};
    packages.{OTHER}.tool = library.package "{OTHER}" "tool-1";
  }};
}}
"""

StartFlake = Callable[..., Server]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nothing listens while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    directory = tmp_path / "library"
    directory.mkdir()
    (directory / "flake.nix").write_text(LIBRARY)
    return directory


@pytest.fixture
def company(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "company")


@pytest.fixture
def start(tmp_path: Path, company: Repository) -> Iterator[StartFlake]:
    with source_servers(tmp_path) as start:
        yield lambda settings="": start(
            base=f'kind = "path"\nlocation = "{SMALL}/base.nix"',
            company=f'kind = "flake"\nlocation = "{company.url}"\n{settings}',
        )


def commit(repository: Repository, location: str, file: str = "flake.nix") -> None:
    repository.commit(COMPANY.replace("LIBRARY", location), file)


def test_a_flake_whose_inputs_are_locked_is_served_without_a_warning(
    start: StartFlake, company: Repository, library: Path
) -> None:
    commit(company, f"path:{library}")
    lock(company, str(library), nar_hash(library))
    server = start()

    for name in ("tool", "default"):
        response = manifest(server, f"company/{name}")
        assert f"{name}-1" in labels(server, response)["nixery.packages"]
        assert "Warning" not in response.headers


def test_a_flake_is_evaluated_without_derivation_files(
    start: StartFlake, company: Repository, library: Path
) -> None:
    commit(company, f"path:{library}")
    lock(company, str(library), nar_hash(library))
    server = start("build = false")

    for name in ("tool", "default"):
        response = server.get(f"/v2/company/{name}/manifests/latest")
        assert response.status_code == 200 or f"not there: {name}-1" in message(response)

    activity = server.get("/debug").json()["activity"]
    read_only = [line for line in server.nix_starts if "read-only.nix" in line]
    assert (len(read_only), activity.get("nix.evaluate", 0)) == (1, 0)


@pytest.mark.parametrize("locked", [False, True])
def test_a_flake_in_a_subdirectory_is_served(
    start: StartFlake, company: Repository, library: Path, *, locked: bool
) -> None:
    (company.path / "nix" / "set").mkdir(parents=True)
    commit(company, f"path:{library}", "nix/set/flake.nix")
    if locked:
        lock(company, str(library), nar_hash(library), "nix/set/")
    server = start('directory = "nix/set"')

    response = manifest(server, "company/tool")

    assert "tool-1" in labels(server, response)["nixery.packages"]
    assert ("Warning" in response.headers) is not locked


def test_a_flake_without_a_lock_file_is_served_with_a_warning(
    start: StartFlake, company: Repository, library: Path
) -> None:
    commit(company, f"path:{library}")
    server = start()

    for _ in range(2):
        response = manifest(server, "company/tool")
        assert response.status_code == 200, response.text
        assert "flake.lock of source company does not pin library" in response.headers["Warning"]


@pytest.mark.parametrize(
    ("location", "pinned"),
    [("path:./nix/library", True), ("path:nix/library", True), ("path:./nix/library", False)],
)
def test_an_input_within_the_repository_is_pinned_unless_its_own_inputs_are_not(
    start: StartFlake, company: Repository, library: Path, location: str, *, pinned: bool
) -> None:
    (company.path / "nix" / "library").mkdir(parents=True)
    text = LIBRARY
    if not pinned:
        text = text.replace("{ outputs", f'{{ inputs.further.url = "path:{library}"; outputs')
        text = text.replace("{ self }", "{ self, further }")
    company.commit(text, "nix/library/flake.nix")
    commit(company, location)
    server = start()

    response = manifest(server, "company/tool")

    assert "tool-1" in labels(server, response)["nixery.packages"]
    warning = "flake.lock of source company does not pin library"
    assert (warning in response.headers.get("Warning", "")) is not pinned


def test_a_branch_of_an_input_that_does_not_exist_is_a_403_that_names_the_input(
    start: StartFlake, company: Repository, tmp_path: Path
) -> None:
    library = Repository(tmp_path / "library")
    library.commit(LIBRARY, "flake.nix")
    commit(company, f"git+{library.url}?ref=gone")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403, response.text
    assert "its input library cannot be fetched: it has no such branch" in message(response)


def test_a_flake_without_inputs_needs_no_lock_file(start: StartFlake, company: Repository) -> None:
    company.commit(
        f'{{ outputs = {{ self }}: {{ defaultPackage.{SYSTEM} = ({PACKAGE}) "{SYSTEM}" "a-1"; }}; }}',
        "flake.nix",
    )
    server = start()

    response = manifest(server, "company/default")

    assert response.status_code == 200, response.text
    assert "Warning" not in response.headers


def commit_input_at(port: int, company: Repository, kind: str, *, locked: bool) -> str:
    """Give the flake an input on this port of the machine; return its address."""
    scheme = {"git": "git+http", "ssh": "git+ssh"}.get(kind, "http")
    address = f"127.0.0.1:{port}/library{'.tar.gz' if kind == 'tarball' else ''}"
    commit(company, f"{scheme}://{address}")
    if locked:
        lock(company, f"http://{address}", "sha256-" + "A" * 43 + "=")
    return address


@pytest.mark.parametrize(
    ("kind", "locked"), [("tarball", False), ("tarball", True), ("git", False), ("ssh", False)]
)
def test_an_input_that_cannot_be_reached_is_a_503_that_names_it(
    start: StartFlake, company: Repository, closed_port: int, kind: str, *, locked: bool
) -> None:
    commit_input_at(closed_port, company, kind, locked=locked)

    response = manifest(start(), "company/tool")

    assert response.status_code == 503, response.text
    assert "source company needs its input library, which cannot be reached" in message(response)
    assert int(response.headers["Retry-After"]) <= 10


@pytest.mark.parametrize("locked", [True, False])
def test_an_input_that_is_missing_on_this_machine_is_a_403_that_names_it(
    start: StartFlake, company: Repository, *, locked: bool
) -> None:
    commit(company, "path:/no/library")
    if locked:
        lock(company, "/no/library", "sha256-" + "A" * 43 + "=")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403, response.text
    assert "its input library does not exist on this machine" in message(response)


def test_an_input_that_is_refused_is_a_403_that_names_it(
    start: StartFlake, company: Repository
) -> None:
    commit(company, "git+file:///no/library")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403, response.text
    assert "its input library cannot be fetched: the repository does not exist" in message(response)


@pytest.mark.parametrize(
    ("kind", "locked"), [("tarball", False), ("tarball", True), ("git", False)]
)
def test_an_input_whose_host_never_responds_is_a_503_that_names_the_host(
    start: StartFlake, company: Repository, silent_port: int, kind: str, *, locked: bool
) -> None:
    address = commit_input_at(silent_port, company, kind, locked=locked)

    response = manifest(start("evaluation_seconds = 30"), "company/tool")

    assert response.status_code == 503, response.text
    assert "source company needs its input library, which cannot be reached" in message(response)
    assert address in message(response)
    assert int(response.headers["Retry-After"]) <= 10


@pytest.mark.full
def test_a_source_whose_host_never_responds_is_a_503_that_names_the_host(
    tmp_path: Path, silent_port: int
) -> None:
    location = f"http://127.0.0.1:{silent_port}/set.git"
    with source_servers(tmp_path) as start:
        response = manifest(start(set=f'kind = "git"\nlocation = "{location}"'), "set/tool")

    assert response.status_code == 503, response.text
    assert f"no response from 127.0.0.1:{silent_port} within 30 s" in message(response)
    assert int(response.headers["Retry-After"]) <= 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ outputs = { self }: abort ''out of order''; }", "out of order"),
        ("{ outputs = ", "syntax error"),
        ("{ outputs = { self }: { }; }", "the flake has neither packages nor legacyPackages"),
        (
            f"{{ outputs = {{ self }}: {{ packages.{OTHER}.a = 1; }}; }}",
            f"no packages for {SYSTEM}; it has some for {OTHER}",
        ),
    ],
)
def test_a_flake_that_is_wrong_is_a_403(
    start: StartFlake, company: Repository, text: str, expected: str
) -> None:
    company.commit(text, "flake.nix")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403
    assert expected in message(response)


def test_a_repository_without_a_flake_is_explained_with_the_setting(
    start: StartFlake, company: Repository
) -> None:
    company.commit("{ }")

    response = manifest(start(), "company/tool")

    assert response.status_code == 403
    expected = 'there is no flake.nix; there is a default.nix, which kind = "git"'  # plain: ok
    assert expected in message(response)


def test_a_second_architecture_copies_the_flake_no_second_time(
    start: StartFlake, company: Repository, library: Path
) -> None:
    commit(company, f"path:{library}")
    lock(company, str(library), nar_hash(library))
    server = start()

    assert manifest(server, "company/tool").status_code == 200
    assert manifest(server, "company/other").status_code == 200
    response = manifest(server, f"company/{'arm64' if OTHER[0] == 'a' else 'amd64'}/tool")

    assert "can only be built on" in message(response)
    copies = [line for line in server.nix_starts if line.startswith("nix-store --add ")]
    assert len(copies) == 1

"""What anonymous pulls can make the server keep is bounded: unknown names leave nothing behind."""

import os
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Server, ServerFactory

pytestmark = pytest.mark.e2e

IMAGE = ROOT / "tests" / "nix" / "small" / "image.nix"


@pytest.fixture(scope="module")
def server(module_server: ServerFactory) -> Server:
    return module_server(IMAGE)


def files(server: Server) -> set[str]:
    """Everything below the server's own directories that is not its log."""
    home = server.storage.parent
    found = {
        str((Path(directory) / name).relative_to(home))
        for directory, _, names in os.walk(home)
        for name in names
    }
    return {name for name in found if name.startswith(("storage/", "state/"))}


def settled(server: Server) -> set[str]:
    """Return the files of a server that has listed its names and written all that it knows."""
    while "being listed" in server.get("/v2/xylophone/manifests/latest").text:
        pass
    server.stop()  # it waits for what is being written
    found = files(server)
    server.start()
    return found


def started(server: Server) -> dict[str, int]:
    """Return what Nix did: processes by purpose, and responses of kept ones."""
    counts = server.get("/debug").json()["activity"]
    return {name: n for name, n in counts.items() if name.startswith(("nix.", "evaluators."))}


def test_unknown_names_leave_no_file(server: Server) -> None:
    assert server.get("/v2/tool/manifests/latest").status_code == 200
    assert server.get("/v2/tool/nothing/manifests/latest").status_code == 404
    before = settled(server)

    for number in range(40):
        names = "/".join(f"x{number}y{which}" for which in range(30))
        answer = server.get(f"/v2/{names}/manifests/latest")
        assert answer.status_code in {403, 404}, answer.text

    assert settled(server) == before


def test_unknown_tags_leave_no_file(server: Server) -> None:
    before = settled(server)

    for number in range(40):
        answer = server.get(f"/v2/tool/manifests/unknown{number}")
        assert answer.status_code in {403, 404}, answer.text

    assert settled(server) == before


def test_unknown_names_cost_no_nix_once_the_names_are_listed(server: Server) -> None:
    assert server.get("/v2/tool/manifests/latest").status_code == 200
    while "being listed" in server.get("/v2/xylophone/manifests/latest").text:
        pass
    before = started(server)

    for number in range(20):
        for name in (f"xylophone{number}", f"tool/xylophone{number}", f"xylophone{number}.inner"):
            answer = server.get(f"/v2/{name}/manifests/latest")
            assert answer.status_code == 404, answer.text
            assert f"no such package: xylophone{number}" in answer.text

    assert started(server) == before
    assert "did you mean other" in server.get("/v2/otther/manifests/latest").text
    assert started(server) == before


def test_one_package_under_many_names_is_noted_once(server: Server) -> None:
    assert server.get("/v2/tool/other/manifests/latest").status_code == 200
    before = settled(server)

    for name in ("other/tool", "tool/other/tool", "other/tool/other"):
        assert server.get(f"/v2/{name}/manifests/latest").status_code == 200

    assert settled(server) == before

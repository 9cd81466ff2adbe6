"""What a pull would take: the document, its page, and errors; nothing is built."""

import httpx
import pytest

from tests.api.registry import Registry
from tests.api.shape import assert_error

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>"


async def test_the_plan_has_sizes_layers_and_places(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/plan/git/shell/hello?tag=v1.0")

    plan = response.json()
    (image,) = plan["architectures"]
    assert (plan["name"], plan["tag"], plan["digest"]) == ("git/shell/hello", "v1.0", "")
    assert [one["place"] for one in image["packages"]] == ["store", "cache", "packed"]
    assert image["complete"]
    assert image["totals"] == {
        "paths": {"packed": 1, "store": 1, "cache": 1, "build": 0, "nowhere": 0},
        "nar_size": 3003,
        "size": 500,
        "download_size": 300,
        "builds": 0,
        "layers": 2,
    }
    assert image["paths"][1]["cache"] == "https://cache.example"


async def test_what_has_to_be_built_is_listed_and_nothing_is_built(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    (image,) = (await client.get("/api/plan/htop")).json()["architectures"]

    assert (image["complete"], image["layers"], image["totals"]["layers"]) == (False, [], None)
    assert image["builds"] == [f"/nix/store/{'0' * 32}-htop.drv"]
    assert registry.images.builds == []
    assert registry.jobs.counts.started == 0


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/plan/nonesuch", 404, "MANIFEST_UNKNOWN"),
        ("/api/plan/UPPER", 400, "NAME_INVALID"),
        ("/api/plan/hello?tag=-", 404, "MANIFEST_UNKNOWN"),
        ("/plan/hello:-", 404, "MANIFEST_UNKNOWN"),
        ("/plan/:", 400, "NAME_INVALID"),
    ],
)
async def test_errors_are_those_of_a_pull(
    client: httpx.AsyncClient, path: str, status: int, code: str
) -> None:
    assert_error(await client.get(path), status, code)


async def test_a_slow_evaluation_is_continued_for_the_next_request(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.seconds["a"] = 70

    assert_error(await client.get("/api/plan/a"), 429, "TOOMANYREQUESTS")
    assert (await client.get("/api/plan/a")).status_code == 200
    assert len(registry.images.previewed) == 1


async def test_the_page_has_the_same_and_escapes_it(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.versions["latest"] = EVIL

    page = await client.get("/plan/shell/htop", headers=BROWSER)

    assert page.status_code == 200
    assert "docker pull registry/shell/htop:latest" in page.text
    assert "htop.drv" in page.text
    assert "to be built" in page.text
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    complete = await client.get("/plan/git:v1.0", headers=BROWSER)
    assert "<h3>Layers</h3>" in complete.text

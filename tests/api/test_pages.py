"""Pages of builds, /debug and the search: for people who want to know what goes on."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.errors import BuildFailed
from tests.api.registry import HISTORY, Registry
from tests.api.shape import assert_error

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>"


async def page_of_failure(client: httpx.AsyncClient, registry: Registry) -> str:
    registry.images.broken["hello"] = BuildFailed(
        f"hello failed: {EVIL}", derivation="/nix/store/x-hello.drv", log=(EVIL, "make: Error 2")
    )
    failed = await client.get("/v2/hello/manifests/latest")
    message: str = failed.json()["errors"][0]["message"]
    return message.rpartition("(see http://registry")[2].removesuffix(")")


async def test_the_message_of_a_failed_build_links_to_its_log(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    page = await page_of_failure(client, registry)

    build = (await client.get(page)).json()

    assert build["page"] == page
    assert build["image"] == "hello:latest"
    assert build["state"] == "failed"
    assert build["message"] == f"hello failed: {EVIL}"
    assert build["derivation"] == "/nix/store/x-hello.drv"
    assert build["failure_log"] == [EVIL, "make: Error 2"]
    assert build["log"] == ["evaluation"]
    assert build["finished_at"] >= build["started_at"]


@pytest.mark.parametrize("path", ["/builds", ""], ids=["list", "page"])
async def test_a_browser_gets_html_with_escaped_foreign_text(
    client: httpx.AsyncClient, registry: Registry, path: str
) -> None:
    page = await page_of_failure(client, registry)

    response = await client.get(path or page, headers=BROWSER)

    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["vary"] == "Accept"
    assert EVIL not in response.text
    assert "&lt;script&gt;" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert page in (await client.get("/builds", headers=BROWSER)).text


async def test_a_running_build_is_listed_with_its_stage_and_its_page_follows_it(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    event = registry.images.slow["sleepy"] = asyncio.Event()
    await client.get("/v2/shell/sleepy/manifests/latest")

    (running,) = (await client.get("/builds")).json()["running"]
    assert running["state"] == "running"
    assert running["stage"] == "realising sleepy"
    assert running["finished_at"] is None
    assert 'http-equiv="refresh"' in (await client.get(running["page"], headers=BROWSER)).text

    event.set()
    await client.get("/v2/shell/sleepy/manifests/latest", follow_redirects=True)
    (finished,) = (await client.get("/builds")).json()["finished"]
    assert finished["id"] == running["id"]
    assert finished["state"] == "succeeded"
    assert 'http-equiv="refresh"' not in (await client.get(running["page"], headers=BROWSER)).text


async def test_builds_are_found_by_the_name_of_the_image(client: httpx.AsyncClient) -> None:
    for name in ("hello", "shell/git"):
        await client.get(f"/v2/{name}/manifests/latest")

    builds = (await client.get("/builds?image=git")).json()

    assert [build["image"] for build in builds["finished"]] == ["shell/git:latest"]


@pytest.mark.slow
async def test_mistyped_names_do_not_evict_a_failed_build(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    page = await page_of_failure(client, registry)
    listed = (await client.get("/builds?image=hello")).json()["finished"]

    for number in range(2 * HISTORY):
        await client.get(f"/v2/typo{number}/manifests/latest")
        await client.get(f"/v2/git/manifests/no-such-tag-{number}")

    assert (await client.get(page)).json()["log"] == ["evaluation"]
    assert (await client.get("/builds")).json()["finished"][:1] == listed
    assert (await client.get("/builds?image=hello")).json()["finished"] == listed


@pytest.mark.slow
async def test_the_page_of_a_cached_failure_is_kept(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    page = await page_of_failure(client, registry)

    for number in range(HISTORY):
        registry.images.seconds[f"built{number}"] = 0
        await client.get(f"/v2/built{number}/manifests/latest")

    assert await page_of_failure(client, registry) == page
    build = (await client.get(page)).json()
    assert build["failure_log"] == [EVIL, "make: Error 2"]
    assert build["log"] == []
    assert [
        found["page"] for found in (await client.get("/builds?image=hello")).json()["finished"]
    ] == [page]


async def test_builds_that_were_not_found_are_listed(
    client: httpx.AsyncClient,
) -> None:
    await client.get("/v2/helo/manifests/latest")

    (found,) = (await client.get("/builds?image=helo")).json()["finished"]

    assert found["message"] == "no such package: helo (did you mean hello?)"
    assert (await client.get(found["page"])).json()["message"] == found["message"]


async def test_an_unknown_page_is_not_found(client: httpx.AsyncClient) -> None:
    assert_error(await client.get("/builds/0123456789ab"), 404, "UNSUPPORTED")


async def test_debug_shows_version_settings_queues_and_counts(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    # The machine's clock was set back by a day after an hour.
    started_at = datetime.now(UTC) + timedelta(days=1)
    about = replace(registry.state.about, started_at=started_at, begun=time.monotonic() - 3600)
    registry.change(about=about)
    await client.get("/v2/hello/manifests/latest")
    await client.get("/v2/hello/manifests/latest")
    await client.get("/v2/helo/manifests/latest")

    debug = (await client.get("/debug")).json()

    assert debug["version"] == "1.2.3"
    assert datetime.fromisoformat(debug["started_at"]) == started_at
    assert 3600 <= debug["uptime_seconds"] < 7200
    assert debug["settings"] == {"NIXERY_CHANNEL": "nixos-25.05"}
    assert debug["responses"] == {"200": 2, "404": 1}
    assert debug["counts"] == {
        "started": 2,
        "joined": 0,
        "remembered": 1,
        "found": 0,
        "succeeded": 1,
        "failed": 1,
    }
    assert debug["queues"][0]["name"] == "evaluation"
    assert [build["image"] for build in debug["builds"]["finished"]] == [
        "hello:latest",
        "helo:latest",
    ]


async def test_the_search_finds_packages_by_part_of_their_name(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/search?q=h&limit=2")

    assert response.json() == {"query": "h", "source": "tiny", "packages": ["hello", "htop"]}
    assert (await client.get("/api/search?q=h&limit=2&source=tiny")).json() == response.json()


async def test_a_search_in_an_unknown_source_lists_the_sources(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/search?q=h&source=huge")

    assert assert_error(response, 404, "NAME_UNKNOWN") == "no source is called huge; there is tiny"
    assert response.json()["errors"][0]["detail"] == {"sources": ["tiny"]}


@pytest.mark.parametrize(
    "query",
    ["", "?q=", "?q=x&limit=0", "?q=x&limit=y", f"?q={'x' * 101}", "?q=x&source="],
)
async def test_a_search_for_nothing_is_refused(client: httpx.AsyncClient, query: str) -> None:
    message = assert_error(await client.get(f"/api/search{query}"), 400, "UNSUPPORTED")

    assert message.startswith(("q: ", "limit: ", "source: "))


async def test_all_pages_are_in_the_interface_description(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    for path in (
        "/v2/",
        "/v2/{name}/manifests/{reference}",
        "/v2/{name}/blobs/{digest}",
        "/v2/{name}/tags/list",
        "/v2/{name}/referrers/{digest}",
        "/v2/_catalog",
        "/healthz",
        "/readyz",
        "/debug",
        "/builds",
        "/builds/{identifier}",
        "/api/search",
    ):
        operation = document["paths"][path]["get"]
        assert operation["summary"]
        assert "422" not in operation["responses"]
        assert operation["responses"]["200"]["content"]
    assert (await client.get("/docs")).status_code == 200

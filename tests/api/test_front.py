"""Pages for people: the front page, the search, pages that do not exist, the API's description."""

import asyncio
import re
from html import escape, unescape

import httpx
import pytest

from app.access.proxies import ProxyHeader, networks
from app.routers.forwarded import Forwarded
from tests.api.registry import Registry
from tests.api.shape import assert_error

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>"
LOADED = re.compile(r"""(?:src|href|action)=["']?([^"'\s>]+)""")


async def test_the_front_page_has_a_pull_command_for_this_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/", headers={"host": "registry.example.org:8080"})

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "docker pull registry.example.org:8080/shell/git" in page.text
    assert "insecure-registries" in page.text


@pytest.mark.parametrize(
    ("external", "host", "shown"),
    [
        ("https://images.example.org", "10.0.0.1", "images.example.org/shell/git"),
        ("", "<script>", "HOST/shell/git"),
        ("", "localhost:8080", "localhost:8080/shell/git"),
    ],
)
async def test_the_pull_command_names_the_public_address(
    client: httpx.AsyncClient, registry: Registry, external: str, host: str, shown: str
) -> None:
    registry.change(external_url=external)

    page = await client.get("/", headers={"host": host})

    assert f"docker pull {shown}" in page.text
    assert "insecure-registries" not in page.text


async def test_a_proxy_with_tls_needs_no_insecure_registry(registry: Registry) -> None:
    behind_proxy = Forwarded(
        registry.app, trusted=networks("127.0.0.1"), header=ProxyHeader.X_FORWARDED_FOR
    )
    transport = httpx.ASGITransport(behind_proxy)
    async with httpx.AsyncClient(transport=transport, base_url="http://r.example.org") as client:
        page = await client.get("/", headers={"x-forwarded-proto": "https"})

    assert "insecure-registries" not in page.text


async def test_the_front_page_shows_running_builds_and_recent_images(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.slow["sleepy"] = asyncio.Event()
    await client.get("/v2/hello/manifests/latest")
    await client.get("/v2/nonesuch/manifests/latest")
    await client.get("/v2/shell/sleepy/manifests/latest")

    page = (await client.get("/")).text

    assert '<a href="/images/hello:latest">hello:latest</a>' in page
    assert "shell/sleepy:latest" in page
    assert "realising sleepy" in page
    assert "nonesuch" not in page


async def test_a_package_is_found_without_scripts(client: httpx.AsyncClient) -> None:
    front = (await client.get("/")).text
    assert '<form class="search" action="/search"' in front
    assert 'name="q"' in front
    assert "<script" not in front

    found = await client.get("/search?q=shell/ht")
    none = await client.get("/search?q=nonesuch")

    assert "docker pull registry/shell/htop" in found.text
    assert "No package of source tiny matches" in none.text
    assert "<script" not in found.text


@pytest.mark.parametrize(
    "query", [EVIL, f"{EVIL}/h", "\"'><img src=x onerror=alert(1)>", "{{7*7}}"]
)
async def test_hostile_searches_are_escaped(client: httpx.AsyncClient, query: str) -> None:
    page = await client.get("/search", params={"q": query}, headers=BROWSER)

    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert query in unescape(page.text)


@pytest.mark.parametrize(
    "path",
    ["/nothing", f"/{EVIL}", "/builds/0123456789ab", f"/builds/{EVIL}", "/static/nothing.css"],
)
async def test_a_browser_gets_a_page_for_an_unknown_path(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path, headers=BROWSER)

    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"
    assert "Page not found" in page.text
    assert 'href="/"' in page.text
    assert 'action="/search"' in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "path", ["/nothing", "/builds/0123456789ab", "/v2/nothing", "/api/nothing"]
)
async def test_programs_get_json_for_an_unknown_path(client: httpx.AsyncClient, path: str) -> None:
    assert_error(await client.get(path), 404, "UNSUPPORTED")
    assert_error(await client.get(path, headers={"accept": "application/json"}), 404, "UNSUPPORTED")


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/nonesuch/tags/list", "/api/nothing"])
async def test_paths_of_programs_give_browsers_json(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers=BROWSER)

    assert response.headers["content-type"] == "application/json"


async def test_errors_of_a_search_are_pages_too(client: httpx.AsyncClient) -> None:
    page = await client.get("/search", headers=BROWSER)

    assert page.status_code == 400
    assert "q: Field required" in page.text
    assert 'action="/search"' in page.text


@pytest.mark.parametrize("path", ["/", "/search?q=h", "/builds", "/nothing", "/docs"])
async def test_pages_load_nothing_from_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path, headers=BROWSER)

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    for address in LOADED.findall(page.text):
        assert re.match(r"/(?!/)|data:,$", address), address
        if address.startswith("/static/"):
            assert (await client.get(address)).status_code == 200, address


async def test_our_styles_and_scripts_are_small(client: httpx.AsyncClient) -> None:
    for path in ("/static/style.css", "/static/live.js", "/static/docs.js"):
        response = await client.get(path)
        assert len(response.content) < 10_000
        assert "://" not in response.text


async def test_description_of_the_api_needs_no_script(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    page = (await client.get("/docs", headers=BROWSER)).text
    outline = page.partition("<body>")[2].partition("<noscript>")[2]

    for path, methods in registry.app.openapi()["paths"].items():
        assert f" {path}</code>" in outline
        method = "post" if "get" not in methods else "get"
        assert escape(methods[method]["summary"]) in outline

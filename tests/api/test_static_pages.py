"""An operator's own pages beside the registry."""

import httpx
import pytest
from fastapi import FastAPI

from tests.api.registry import Registry, new_application
from tests.api.shape import assert_error, assert_of_a_registry


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    directory = tmp_path_factory.mktemp("pages")
    for name in ("index.html", "404.html", "help/index.html", "v2/index.html", "v2/x/index.html"):
        page = directory / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(name)
    return new_application(directory)


@pytest.fixture(autouse=True)
def pages(registry: Registry, application: FastAPI) -> None:
    registry.serve_by(application)


async def test_pages_are_served_with_get_and_head(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    head = await client.head("/")

    assert (page.status_code, page.text) == (200, "index.html")
    assert page.headers["cache-control"] == "no-cache"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len("index.html"))
    assert (await client.get("/nothing")).text == "404.html"


async def test_the_redirect_to_a_directory_has_no_host(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/help")

    assert response.status_code == 307
    assert response.headers["location"] == "/help/"


@pytest.mark.parametrize("path", ["/v2/hello", "/v2/x", "/v2/x/", "/v2/index.html"])
async def test_pages_do_not_hide_paths_of_the_registry(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)

    assert_error(response, 404, "UNSUPPORTED")
    assert_of_a_registry(response)
    assert (await client.get("/v2/")).json() == {}


async def test_pages_are_read_only(client: httpx.AsyncClient) -> None:
    assert_error(await client.post("/"), 405, "UNSUPPORTED")


async def test_the_other_pages_stay(client: httpx.AsyncClient) -> None:
    for path in ("/builds", "/docs", "/static/style.css", "/search?q=h"):
        assert (await client.get(path)).status_code == 200, path

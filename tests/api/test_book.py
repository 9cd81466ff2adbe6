"""The book: every page, command, setting, metric, error, route and example is in it."""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
import typer
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.commands.verbs import app as commands
from app.routers import front, images, plans
from app.routers.register import include_routers
from app.settings.names import variables
from app.settings.settings import Settings
from scripts import book
from tests import docpages
from tests.api.registry import Registry, new_application
from tests.docpages import PAGES, ROOT, Block
from tests.unit.routers.test_errors_docs import errors
from tests.unit.test_deploy import METRIC

pytestmark = pytest.mark.slow

# Elements that a browser loads without being asked.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}


class Page(HTMLParser):
    """Names and links of a rendered page, its code and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self._skipped = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._skipped += tag in ("script", "style")
        self.names |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if (name := LOADED.get(tag)) in values:
            self.loaded.append(values[name])

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return book.render(tmp_path_factory.mktemp("book"))


@cache
def read(path: Path) -> Page:
    return Page(path.read_text())


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: read(path) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def text(pages: dict[Path, Page]) -> str:
    return "\n".join(page.text for page in pages.values())


def rendered(page: Path) -> Path:
    path = page.relative_to(ROOT)
    return path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html")


def test_every_page_is_in_the_book_and_in_its_contents(site: Path, pages: dict[Path, Page]) -> None:
    index = site / "index.html"
    reached = {(index.parent / urlsplit(link).path).resolve() for link in pages[index].links}

    for page in PAGES:
        assert site / rendered(page) in pages, page
        if page.parent != ROOT / "docs" / "decisions" or page.name == "README.md":
            assert page == ROOT / "README.md" or site / rendered(page) in reached, page


def test_links_lead_to_files_and_headings(site: Path, pages: dict[Path, Page]) -> None:
    faults = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if path.name != "404.html" and not leads_somewhere(path, link, pages)
    ]

    assert faults == []


def leads_somewhere(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https", "mailto"):
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        return True  # a directory of files for deployment
    if target not in pages:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[target].names


def test_a_browser_loads_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {name for page in pages.values() for name in page.loaded}

    assert [name for name in loaded if urlsplit(name).netloc] == []


def wanted() -> Iterator[str]:
    yield from (f"nixery {verb}" for verb in typer.main.get_group(commands).commands)
    yield from (name for field in Settings.model_fields for name in variables(field))
    yield from (error.code for error in errors())
    application = FastAPI()
    include_routers(application)
    for path in application.openapi()["paths"]:
        yield from re.findall(r"^/[a-z0-9]*", path)
    rules = "".join(path.read_text() for path in (ROOT / "deploy").rglob("*.yml"))
    yield from (re.sub(r"_(bucket|sum|count)$", "", name) for name in METRIC.findall(rules))


def test_every_command_setting_error_route_and_metric_is_in_the_book(text: str) -> None:
    assert [name for name in sorted(set(wanted())) if name not in text] == []


def test_every_page_for_people_is_in_the_book(text: str) -> None:
    routes = [*front.front.routes, *front.router.routes, *images.pages.routes, *plans.pages.routes]
    forms = [
        route.path.replace("{image:path}", "<name>:<tag>")
        for route in routes
        if isinstance(route, APIRoute)
    ]

    assert forms
    # "/plan/<name>" also ends the path of the API.
    assert [one for one in forms if not re.search(rf"(?<![\w>]){re.escape(one)}", text)] == []


def test_every_example_is_in_the_book(text: str) -> None:
    shown = re.sub(r"\s+", " ", text)

    def missing(block: Block) -> bool:
        return re.sub(r"\s+", " ", unescape(block.text)).strip() not in shown

    drawings = ("mermaid",)
    assert [
        str(block)
        for block in docpages.blocks()
        if block.language not in drawings and missing(block)
    ] == []


@pytest.fixture
def served_book(site: Path, registry: Registry) -> None:
    registry.serve_by(new_application(site))


@pytest.mark.usefixtures("served_book")
async def test_a_server_serves_the_book_in_place_of_its_front_page(
    site: Path, client: httpx.AsyncClient
) -> None:
    front = await client.get("/")
    page = await client.get("/docs/user-guide.html")
    [style, *_] = [name for name in read(site / "index.html").loaded if name.endswith(".css")]
    loaded = await client.get(f"/{style}")

    assert "<title>" in front.text
    assert "Names list packages" in page.text
    assert loaded.headers["content-type"].startswith("text/css")

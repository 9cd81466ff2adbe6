"""Pages in a real browser: what people see, on a screen and on a phone, live and hostile."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.browser import Browser
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

EVIL = "<script>window.stolen=1</script><img src=x onerror=window.stolen=1>"
# Resolves when the log of the page has a text.
LOGGED = """new Promise((resolve) => {
  const log = document.getElementById("log");
  const look = () => log.textContent.includes(%r) && resolve(log.textContent);
  new MutationObserver(look).observe(log, { childList: true });
  look();
})"""
FAULTS = Path(__file__).with_name("page_faults.js").read_text()
_WIDTHS = "[...document.querySelectorAll('%s')].map((one) => one.getBoundingClientRect().width)"
_NARROWEST = """[...document.querySelectorAll("dd, pre")]
  .map((one) => one.getBoundingClientRect().width)
  .reduce((least, width) => least === null ? width : Math.min(least, width), null)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def shown(module_server: ServerFactory, salted_packages: Path) -> Server:
    return module_server(salted_packages)


@pytest.fixture(autouse=True)
def quiet(browser: Browser, shown: Server) -> Iterator[None]:
    """No page loads anything from elsewhere, or breaks its own policy."""
    browser.requests.clear()
    browser.complaints.clear()
    yield
    foreign = [url for url in browser.requests if not url.startswith((shown.url, "data:"))]
    assert foreign == []
    assert browser.complaints == []


def text(browser: Browser) -> str:
    return str(browser.evaluate("document.body.innerText"))


def test_a_person_finds_a_package_from_the_front_page(
    browser: Browser, shown: Server, tmp_path: Path
) -> None:
    browser.open(f"{shown.url}/")
    assert f"docker pull {shown.address}/shell/git" in text(browser)
    browser.screenshot(tmp_path / "front.png")

    browser.submit("document.getElementById('q').value = 'shell/jq'; document.forms[0].submit()")

    assert f"docker pull {shown.address}/shell/jq" in text(browser)
    browser.screenshot(tmp_path / "search.png")


def test_a_build_is_shown_live_and_ends_with_its_image(
    browser: Browser, shown: Server, held_build: HeldBuild, tmp_path: Path
) -> None:
    image = f"coreutils/{held_build.package}"
    started = httpx.post(f"{shown.url}/api/builds", json={"image": image}, timeout=300)
    assert started.status_code == 202

    browser.open(shown.url + started.headers["location"])
    assert "running" in text(browser)
    browser.evaluate(LOGGED % f"{held_build.package} waits")
    browser.screenshot(tmp_path / "build.png")
    with browser.loading():  # at its end the page loads itself again
        held_build.release()
    assert "succeeded" in text(browser)

    browser.submit("document.querySelector('main a[href^=\"/images/\"]').click()")
    assert shown.digest(image) in text(browser)
    areas = browser.evaluate(_WIDTHS % ".layers rect")
    assert len(areas) > 3
    assert min(areas) > 0
    boxes = browser.evaluate(_WIDTHS % ".graph rect")
    assert len(boxes) > 3
    assert "coreutils" in text(browser)
    browser.screenshot(tmp_path / "image.png")
    browser.evaluate("document.querySelector('.graph').scrollIntoView()")
    browser.screenshot(tmp_path / "closure.png")


def test_the_plan_of_an_image_is_shown_before_it_is_built(
    browser: Browser, shown: Server, tmp_path: Path
) -> None:
    before = len(shown.nix_starts)

    browser.open(f"{shown.url}/plan/htop/jq")

    assert "Where it is" in text(browser)
    assert "htop" in text(browser)
    browser.screenshot(tmp_path / "plan.png")
    plan = httpx.get(f"{shown.url}/api/plan/htop/jq", timeout=300).json()
    (image,) = plan["architectures"]
    assert sum(image["totals"]["paths"].values()) >= len(image["packages"]) > 2
    started = [line for line in shown.nix_starts[before:] if "--realise" in line]
    assert all("--dry-run" in line for line in started)


def test_pages_fit_a_phone_and_a_dark_screen(
    browser: Browser, shown: Server, tmp_path: Path
) -> None:
    shown.digest("jq")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.command("Emulation.setEmulatedMedia", features=dark)
    browser.command(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    try:
        for number, path in enumerate(
            ("/", "/builds", "/search?q=j", "/images/jq:latest", "/plan/jq")
        ):
            browser.open(shown.url + path)
            assert browser.evaluate("document.scrollingElement.scrollWidth") <= 360, path
            narrow = browser.evaluate(_NARROWEST)
            assert narrow is None or narrow > 200, path
            back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            assert back == "rgb(20, 23, 29)"
            browser.screenshot(tmp_path / f"phone-{number}.png")
    finally:
        browser.command("Emulation.clearDeviceMetricsOverride")
        browser.command("Emulation.setEmulatedMedia", features=[])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_labels_headings_and_contrast(
    browser: Browser, shown: Server, scheme: str
) -> None:
    shown.digest("jq")
    shown.get("/v2/broken-build/manifests/latest")
    failed = shown.get("/api/builds").json()["finished"][0]["page"]
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.command("Emulation.setEmulatedMedia", features=media)
    try:
        for path in ("/", "/builds", failed, "/search?q=j", "/images/jq:latest", "/plan/jq"):
            browser.open(shown.url + path)
            assert browser.evaluate(FAULTS) == [], path
    finally:
        browser.command("Emulation.setEmulatedMedia", features=[])


def test_hostile_names_are_text(browser: Browser, shown: Server, tmp_path: Path) -> None:
    for path in ("/search?q=", "/builds?image=", "/images/", "/plan/", "/"):
        browser.open(shown.url + path + quote(EVIL, safe="")[:100])
        assert browser.evaluate("window.stolen") is None
        assert browser.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert "Page not found" in text(browser)
    browser.screenshot(tmp_path / "unknown.png")
    # The browser reports the status of a page that it shows.
    browser.complaints[:] = [one for one in browser.complaints if "status of 40" not in one]


def test_the_description_of_the_api_is_shown(
    browser: Browser, shown: Server, tmp_path: Path
) -> None:
    browser.open(f"{shown.url}/docs")
    browser.evaluate(
        """new Promise((resolve) => {
          const look = () => document.querySelector(".opblock") && resolve(true);
          new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
          look();
        })"""
    )

    assert "/api/builds" in text(browser)
    browser.screenshot(tmp_path / "docs.png")


def test_pages_need_no_scripts(browser: Browser, shown: Server, tmp_path: Path) -> None:
    digest = shown.digest("jq")
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        for path, part in {
            "/": f"docker pull {shown.address}/shell/git",
            "/search?q=jq": f"docker pull {shown.address}/jq",
            "/builds": "jq:latest",
            "/images/jq:latest": digest,
            "/plan/jq": digest,
            "/docs": "GET /api/plan/{name}",
        }.items():
            browser.open(shown.url + path)
            assert part in text(browser), path
        browser.screenshot(tmp_path / "docs-without-scripts.png")
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


def test_images_are_known_after_a_restart_before_they_are_pulled(shown: Server) -> None:
    digest = shown.digest("jq")
    shown.stop()
    shown.start()
    before = len(shown.nix_starts)

    page = httpx.get(f"{shown.url}/images/jq:latest", headers={"accept": "text/html"}, timeout=300)
    front = httpx.get(f"{shown.url}/", headers={"accept": "text/html"}, timeout=300)

    assert page.status_code == 200
    assert digest in page.text
    assert '<svg class="graph"' in page.text
    assert "/images/jq:latest" in front.text
    assert httpx.get(f"{shown.url}/api/images/jq", timeout=300).json()["digest"] == digest
    assert not any("--realise" in line for line in shown.nix_starts[before:])

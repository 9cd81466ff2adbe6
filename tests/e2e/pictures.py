"""Take the pictures of pages in docs/pictures: ``python -m tests.e2e.pictures``, as root."""

import base64
import os
import tempfile
from pathlib import Path

from tests.e2e.browser import Browser
from tests.e2e.server import ROOT, Server

PICTURES = ROOT / "docs" / "pictures"
LAYERS = """
for (const heading of document.querySelectorAll("h2"))
  if (heading.textContent.includes("to download")) heading.scrollIntoView();
"""
PAGES = {"front": "/", "image": "/images/shell/git/htop:latest"}


def main() -> None:
    os.environ["NIX_CONF_DIR"] = str(ROOT / "tests" / "nix")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        server = Server(
            Path(directory) / "server",
            ROOT / "nix" / "debian",
            NIXERY_EXTERNAL_URL="https://registry.example.org",
        ).start()
        # Chromium's pipes must not have the numbers 3 and 4 here, which they get there.
        reserved = [os.dup(0) for _ in range(4)]
        browser = Browser(Path(directory))
        try:
            for name in ("jq", "python3/curl", "shell/git/htop"):
                server.digest(name)
            browser.command(
                "Emulation.setDeviceMetricsOverride",
                width=900, height=620, deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            for name, path in PAGES.items():
                browser.open(server.url + path)
                browser.evaluate(LAYERS)
                taken = browser.command("Page.captureScreenshot", format="png")
                (PICTURES / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))
        finally:
            browser.close()
            server.stop()
            for number in reserved:
                os.close(number)


if __name__ == "__main__":
    main()

"""One pull as a person and an operator see it: found, pulled, watched, examined."""

import json
import re
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.browser import Browser
from tests.e2e.clients import Docker
from tests.e2e.process import Process
from tests.e2e.server import Server, ServerFactory
from tests.e2e.test_pages import LOGGED, text
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

IMAGE = "coreutils/slow-7"


def running(server: Server) -> list[dict[str, str]]:
    builds: list[dict[str, str]] = server.get("/api/builds").json()["running"]
    return [build for build in builds if build["image"] == f"{IMAGE}:latest"]


def test_a_person_finds_a_package_pulls_it_and_sees_its_build(
    new_server: ServerFactory, salted_packages: Path, docker: Docker, tmp_path: Path
) -> None:
    server = new_server(salted_packages)
    browser = Browser(tmp_path)
    try:
        # The front page leads to the line to pull it.
        browser.open(f"{server.url}/")
        browser.submit(
            f"document.getElementById('q').value = '{IMAGE}'; document.forms[0].submit()"
        )
        [line] = re.findall(rf"docker pull \S+/{IMAGE}", text(browser))
        docker_program, *arguments = line.split()
        assert docker_program == "docker"

        # Docker runs that line; its build is live in the browser and in the terminal.
        pulled = Process([*docker.command, *arguments], log=tmp_path / "pull")
        wait_until(lambda: running(server))
        [build] = running(server)
        watched = Process(
            [sys.executable, "-m", "app", "watch", f"{server.url}/builds/{build['id']}"],
            log=tmp_path / "watch",
            env=server.environment,
        )
        browser.open(f"{server.url}/builds")
        loads = browser.loads
        browser.submit(f"document.querySelector('a[href=\"/builds/{build['id']}\"]').click()")
        assert "running" in text(browser)
        browser.evaluate(LOGGED % "slow")
        browser.wait_for_load(loads + 1)  # at its end the page loads itself again
        assert "succeeded" in text(browser)
        assert pulled.wait(timeout=60) == 0
        assert watched.wait(timeout=60) == 0
        browser.submit("document.querySelector('main a[href^=\"/images/\"]').click()")
        assert server.digest(IMAGE) in text(browser)
    finally:
        browser.close()

    # What was pulled runs, and the operator finds all in order.
    assert docker.run(f"{server.address}/{IMAGE}", "cat", "/slow") == "7\n"
    assert "slow-7" in (tmp_path / "watch").read_text()
    checks = json.loads(server.command("doctor", "--json").stdout)["checks"]
    # A machine without network lacks the cache of Nix's defaults.
    assert {one["check"] for one in checks if one["outcome"] == "problem"} <= {"cache"}, checks
    metrics = httpx.get(f"{server.url}/metrics", timeout=60).text
    assert re.search(r'^nixery_builds_total\{outcome="succeeded"\} [1-9]', metrics, re.MULTILINE)

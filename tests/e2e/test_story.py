"""One pull as a person and an operator see it: found, pulled, watched, examined."""

import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.browser import Browser
from tests.e2e.clients import Docker
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.process import Process
from tests.e2e.server import Server, ServerFactory
from tests.e2e.test_pages import LOGGED, text
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


def running(server: Server, image: str) -> list[dict[str, str]]:
    builds: list[dict[str, str]] = server.get("/api/builds").json()["running"]
    return [build for build in builds if build["image"] == f"{image}:latest"]


def test_a_person_finds_a_package_pulls_it_and_sees_its_build(
    new_server: ServerFactory,
    salted_packages: Path,
    held_build: HeldBuild,
    docker: Docker,
    tmp_path: Path,
) -> None:
    server = new_server(salted_packages)
    image = f"coreutils/{held_build.package}"
    with ExitStack() as stack:
        browser = stack.enter_context(Browser(tmp_path))
        # The front page leads to the line to pull it.
        browser.open(f"{server.url}/")
        browser.submit(
            f"document.getElementById('q').value = '{image}'; document.forms[0].submit()"
        )
        [line] = re.findall(rf"docker pull \S+/{image}(?!\S)", text(browser))
        docker_program, *arguments = line.split()
        assert docker_program == "docker"

        # Docker runs that line; its build is live in the browser and in the terminal.
        pulled = stack.enter_context(Process([*docker.command, *arguments], log=tmp_path / "pull"))
        wait_until(lambda: running(server, image))
        [build] = running(server, image)
        watched = stack.enter_context(
            Process(
                [sys.executable, "-m", "app", "watch", f"{server.url}/builds/{build['id']}"],
                log=tmp_path / "watch",
                env=server.environment,
            )
        )
        logged = f"{held_build.package} waits"
        watched.wait_until(lambda: logged in watched.log)
        browser.open(f"{server.url}/builds")
        browser.submit(f"document.querySelector('a[href=\"/builds/{build['id']}\"]').click()")
        assert "running" in text(browser)
        browser.evaluate(LOGGED % logged)
        with browser.loading():  # at its end the page loads itself again
            held_build.release()
        assert "succeeded" in text(browser)
        assert pulled.wait(timeout=300) == 0
        assert watched.wait(timeout=300) == 0
        browser.submit("document.querySelector('main a[href^=\"/images/\"]').click()")
        assert server.digest(image) in text(browser)

    # What was pulled runs, and the operator finds all in order.
    assert docker.run(f"{server.address}/{image}", "cat", "/held") == held_build.contents
    checks = json.loads(server.command("doctor", "--json").stdout)["checks"]
    # A machine without network lacks the cache of Nix's defaults.
    assert {one["check"] for one in checks if one["outcome"] == "problem"} <= {"cache"}, checks
    metrics = httpx.get(f"{server.url}/metrics", timeout=300).text
    assert re.search(r'^nixery_builds_total\{outcome="succeeded"\} [1-9]', metrics, re.MULTILINE)

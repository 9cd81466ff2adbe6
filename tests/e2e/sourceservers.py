"""Real servers of package sources that a test writes down as an operator does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.server import Server

# Settings of each source by its name, in TOML; the first one is the default source.
StartSources = Callable[..., Server]


@contextmanager
def source_servers(home: Path) -> Iterator[StartSources]:
    """Start servers; ``environment`` is added to their own.  They are stopped at the end."""
    started: list[Server] = []

    def start(environment: dict[str, str] | None = None, /, **sources: str) -> Server:
        tables = [
            f'[[sources]]\nname = "{name}"\n'
            + ("" if "substituters" in settings else "substituters = []\n")
            + ("" if "revision_seconds" in settings else "revision_seconds = 0\n")
            + ("" if number else "default = true\n")
            + f"{settings}\n"
            for number, (name, settings) in enumerate(sources.items())
        ]
        settings = home / f"nixery-{len(started)}.toml"
        settings.write_text("\n".join(tables))
        server = Server(
            home / f"server-{len(started)}",
            home,
            NIXERY_CONFIG=str(settings),
            **(environment or {}),
        )
        del server.environment["NIXERY_PKGS_PATH"]
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


def manifest(server: Server, name: str, tag: str = "latest") -> httpx.Response:
    return server.get(f"/v2/{name}/manifests/{tag}")


def message(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["message"])


def labels(server: Server, response: httpx.Response) -> dict[str, str]:
    """The labels of an image that is served."""
    assert response.status_code == 200, response.text
    config = response.json()["config"]["digest"]
    found: dict[str, str] = server.get(f"/v2/any/blobs/{config}").json()["config"]["Labels"]
    return found

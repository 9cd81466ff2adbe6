"""Time a client's pull by its output: when the last bytes have arrived, and when it ends."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo
from tests.e2e.process import SYSTEM_PATH

# The last of these lines is printed when all layers are fetched.  Docker unpacks some layers
# before, and skopeo unpacks nothing.  Podman fetches and unpacks at the same time, and prints no
# such line.
_FETCHED = {
    "docker": re.compile("Download complete|Already exists"),
    "containerd": re.compile("^unpacking"),
    "skopeo": re.compile("^Copying config"),
}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the start of the client."""

    fetched: float | None
    total: float


def pull(client: Client, image: str) -> Times:
    """Pull into an empty client, and empty it again.  Raise RuntimeError with its output."""
    fetched: float | None = None
    line_of_last_layer = _FETCHED.get(client.name)
    lines: list[str] = []
    begun = time.perf_counter()
    with subprocess.Popen(
        client.pull_command(image),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:{SYSTEM_PATH}"},
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line_of_last_layer and line_of_last_layer.search(line):
                fetched = time.perf_counter() - begun
    total = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{client.name} could not pull {image}:\n{''.join(lines)[-2000:]}")
    client.remove(image)
    return Times(fetched, total)


@contextmanager
def clients(home: Path, names: tuple[str, ...]) -> Iterator[list[Client]]:
    """Start the named clients, each with storage of its own and empty."""
    with ExitStack() as stack:

        def directory(name: str) -> Path:
            made = home / name
            made.mkdir()
            return made

        started: list[Client] = []

        def start(client: Client) -> None:
            stack.callback(client.close)
            started.append(client)

        containerd = Containerd(directory("containerd"))
        stack.callback(containerd.close)
        make: dict[str, Callable[[], Client]] = {
            "docker": lambda: Docker(directory("docker"), containerd=containerd),
            "podman": lambda: Podman(directory("podman")),
            "skopeo": lambda: Skopeo(directory("skopeo")),
        }
        for name in names:
            if name == "containerd":
                started.append(containerd)
            else:
                start(make[name]())
        yield started

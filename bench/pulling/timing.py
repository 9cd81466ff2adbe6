"""Time a client's pull by its output: when the last bytes have arrived, and when it ends."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
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
    """Raise RuntimeError with the client's output if it fails."""
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
    return Times(fetched, total)


@contextmanager
def empty_client(name: str, home: Path) -> Iterator[Client]:
    """Start a client whose storage is new, in the empty directory ``home``.

    Removing images is not the same: ext4 does not use the inodes of files that were deleted in the
    last minutes, and searches for others: a quarter of docker's samples of the processor.
    """
    own, below = home / name, home / "containerd"
    own.mkdir(exist_ok=True)
    with ExitStack() as stack:
        client: Client
        match name:
            case "podman":
                client = Podman(own)
            case "skopeo":
                client = Skopeo(own)
            case _:
                below.mkdir(exist_ok=True)
                client = containerd = Containerd(below)
                if name == "docker":
                    stack.callback(containerd.close)
                    client = Docker(own, containerd=containerd)
        stack.callback(client.close)
        yield client

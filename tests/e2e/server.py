"""The real server as a process of its own, configured by environment as an operator would."""

import itertools
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from tests.e2e.process import SYSTEM_PATH, Process, program
from tests.ownership import current_owner
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
NIX_PROGRAMS = ("nix", "nix-build", "nix-instantiate", "nix-store", "nix-env")
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
# Reading all certificate authorities takes longer than most requests, and none is needed.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

_MARKS = itertools.count(1)


class Server:
    """A server in a process of its own.

    ``home`` has its storage, state and log, which stay when it stops: it can be started again.
    ``settings`` are environment variables; ``within`` is a command that starts commands.
    """

    def __init__(
        self, home: Path, packages: Path, within: Sequence[str] = (), **settings: str
    ) -> None:
        self.within = within
        self.start_command = (*within, sys.executable, "-m", "app")
        self.storage = home / "storage"
        self._nix_log = home / "nix-starts"
        self._log = home / "log"
        home.mkdir(exist_ok=True)
        path = settings.pop("PATH", SYSTEM_PATH)
        self.environment = {
            "PATH": f"{_counting_nix(home / 'bin', self._nix_log, path)}:{path}",
            "NIXERY_PORT": "0",
            "NIXERY_PKGS_PATH": str(packages),
            "NIXERY_STORAGE": "filesystem",
            "NIXERY_STORAGE_PATH": str(self.storage),
            "NIXERY_STATE_PATH": str(home / "state"),
            **settings,
        }
        self.owner = current_owner()
        self._process: Process | None = None
        self.address = ""

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def complete_log(self) -> str:
        """Return the log of a running server with all lines that were logged before this call.

        A thread writes it, in order: the line of a request of our own comes after them.
        """
        mark = f"/healthz?log={next(_MARKS)}"
        assert self.get(mark).is_success
        wait_until(lambda: f"{mark} HTTP" in self.log, explain=lambda: self.log[-4000:])
        return self.log

    @property
    def nix_starts(self) -> list[str]:
        """One line for each Nix program started: its name and arguments."""
        return self._nix_log.read_text().splitlines() if self._nix_log.exists() else []

    def start(self) -> "Server":
        assert self._process is None, "already running"
        self._log.unlink(missing_ok=True)
        process = Process(self.start_command, log=self._log, env=self.environment, owner=self.owner)
        self._process = process.wait_until(self._answers)
        return self

    def _answers(self) -> bool:
        found = re.search(r"listening on http://[^\s\"]*?:(\d+)", self.log)
        if found is None:
            return False
        self.address = f"localhost:{found[1]}"
        try:
            return httpx.get(f"{self.url}/healthz", timeout=10).is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, *, timeout: float = 300, **headers: str) -> httpx.Response:
        accept = {"Accept": ACCEPT}
        return httpx.get(
            self.url + path,
            headers=accept | headers,
            timeout=timeout,
            follow_redirects=True,
            verify=_NO_TLS,
        )

    def digest(self, name: str, tag: str = "latest") -> str:
        """Build the image if necessary, and return the digest that clients get."""
        answer = self.get(f"/v2/{name}/manifests/{tag}")
        assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text}\n{self.log}"
        return answer.headers["Docker-Content-Digest"]

    def stages(self) -> list[str]:
        """Return the stage of each running build."""
        return [build["stage"] for build in self.get("/builds").json()["running"]]

    def redirects(self) -> int:
        """Return how often a client was redirected to wait for a build."""
        count: int = self.get("/debug").json()["responses"].get("307", 0)
        return count

    def stop(self) -> None:
        """As systemd or an engine stops it; SIGTERM is raised again when all is finished."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stop(timeout=300) in (0, -signal.SIGTERM), self.log
        assert "Traceback" not in self.log
        assert "blocks the event loop" not in self.log

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Of the command line, with this server's settings; it may run or not."""
        return subprocess.run(
            [*self.start_command, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def interrupt(self, times: int) -> int:
        """Ctrl-C at its terminal; the exit status."""
        assert self._process is not None, "not running"
        process, self._process = self._process, None
        for _ in range(times):
            process.interrupt()
        return process.wait(timeout=300)

    def pause(self) -> None:
        """It answers nothing until it is resumed, and does not know that."""
        assert self._process is not None, "not running"
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None, "not running"
        self._process.resume()

    def kill(self) -> None:
        assert self._process is not None, "not running"
        self._process.kill()
        self._process = None


ServerFactory = Callable[..., Server]


def _counting_nix(directory: Path, log: Path, path: str) -> Path:
    """Programs named like Nix's own that write down each start, then become those of ``path``."""
    directory.mkdir(exist_ok=True)
    for name in NIX_PROGRAMS:
        script = directory / name
        script.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"{name} $(echo $* | tr '\\n' ' ')\" >>{log}\n"
            f'exec {program(name, path)} "$@"\n'
        )
        script.chmod(0o755)
    return directory

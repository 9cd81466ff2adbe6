"""Headless Chromium, driven through its DevTools protocol over a pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.e2e.process import SYSTEM_PATH

_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_SECONDS = 60


class Browser:
    """``requests`` are the addresses that pages loaded, ``complaints`` what their console has."""

    def __init__(self, home: Path) -> None:
        program = shutil.which("chromium", path=SYSTEM_PATH)
        assert program, "chromium is missing: run python3 scripts/setup.py test"
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._profile = tempfile.mkdtemp(dir=home)
        self._number = 0
        self._loads = 0
        self._buffer = b""
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        # Chromium reads commands from 3 and writes to 4.
        script = f'exec "$@" 3<&{read} 4>&{write} {read}<&- {write}>&-'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, *_OPTIONS, f"--user-data-dir={self._profile}"],
            pass_fds=(read, write),
            stderr=subprocess.DEVNULL,
            env={"PATH": SYSTEM_PATH, "HOME": self._profile},
        )
        os.close(read)
        os.close(write)
        os.set_blocking(self._read, True)
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.command(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Return when the page is loaded."""
        loads = self._loads
        self.command("Page.navigate", url=address)
        self.wait_for_load(loads)

    def submit(self, script: str) -> None:
        """Run a script that leads to another page; return when that is loaded."""
        loads = self._loads
        self.evaluate(script)
        self.wait_for_load(loads)

    @property
    def loads(self) -> int:
        return self._loads

    def wait_for_load(self, loads: int) -> None:
        """Return after the load that follows so many."""
        while self._loads <= loads:
            self._receive()

    def evaluate(self, script: str) -> Any:  # noqa: ANN401  # a JSON value
        """Return the value, or what the promise resolves to."""
        answer = self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def command(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._send(method, parameters, sessionId=self._session)

    def close(self) -> None:
        os.close(self._write)
        self._process.terminate()
        self._process.wait(_SECONDS)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _send(self, method: str, parameters: object, **target: str) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **target}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "chromium has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, parameters: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loads += 1
        elif event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(
                f"{parameters['entry']['text']} {parameters['entry'].get('url')}"
            )
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))

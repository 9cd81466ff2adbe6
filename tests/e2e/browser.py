"""Headless Chromium, driven through its DevTools protocol over a pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.e2e.process import SYSTEM_PATH
from tests.ownership import start_process

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
_SECONDS = 300


class Navigated(Exception):
    """Another page, or the same again, was loaded before the answer to a command."""

    def __init__(self, method: str, parameters: object) -> None:
        super().__init__(
            f"a page was loaded during {method} {parameters}: "
            "wait with loading() for a page that loads itself again"
        )


class Browser:
    """A browser of one test.

    ``requests`` are the addresses that pages loaded; ``complaints`` are the lines of their console.
    """

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
        self._process = start_process(
            ["bash", "-c", script, "bash", program, *_OPTIONS, f"--user-data-dir={self._profile}"],
            pass_fds=(read, write),
            stderr=subprocess.DEVNULL,
            env={"PATH": SYSTEM_PATH, "HOME": self._profile},
            start_new_session=True,
        )
        os.close(read)
        os.close(write)
        os.set_blocking(self._read, True)
        with ExitStack() as closing:
            closing.callback(self.close)
            self._session = self._attach()
            for domain in ("Page", "Network", "Log", "Runtime"):
                self.command(f"{domain}.enable")
            closing.pop_all()

    def _attach(self) -> str:
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})
        session: str = attached["sessionId"]
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, address: str) -> None:
        """Return when the page is loaded."""
        with self.loading():
            self.command("Page.navigate", url=address)

    def submit(self, script: str) -> None:
        """Run a script that leads to another page; return when that is loaded."""
        with self.loading(), suppress(Navigated):
            self.evaluate(script)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Return when a page has been loaded since the beginning of the block.

        What makes a page load itself again belongs into the block, and scripts for the page
        before or after it.
        """
        loads = self._loads
        yield
        while self._loads == loads:
            self._receive()

    def evaluate(self, script: str) -> Any:  # noqa: ANN401  # a JSON value
        """Return the value, or what the promise resolves to; raise Navigated without the page."""
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
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _send(self, method: str, parameters: object, **target: str) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **target}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        if "navigated or closed" in answer.get("error", {}).get("message", ""):
            raise Navigated(method, parameters)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], _SECONDS)
            assert readable, f"chromium sent nothing for {_SECONDS} s"
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

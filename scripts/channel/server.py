"""A channel host and binary cache on the loopback, with latency, bandwidth and faults.

Serves the files of a directory.  All connections share the bandwidth.  ``/CHANNEL/...`` redirects
to ``/releases/CHANNEL/1/...``, as the host of nixpkgs' channels does.
"""

import asyncio
import os
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

_PART = 64 * 1024
_DRIP_SECONDS = 0.05
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "No Range"}
_CHANNEL = re.compile(r"/(nixos-[\w.-]+|nixpkgs-[\w.-]+)(/.*)?")


@dataclass
class Fault:
    """A fault of the next ``times`` requests whose path matches ``pattern``.

    ``kind`` is a status, "cut" (half of the file), "slow", "drip" (bytes one by one), "silence",
    "hold" (until ``Channel.release`` is called), "loop" (a redirect to itself), or a function that
    changes the file.  ``headers`` are added.
    """

    pattern: str
    kind: int | str | Callable[[bytes], bytes]
    times: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Channel:
    """A simulated host of channels and of their binary cache.

    ``latency`` is in seconds for each request, ``bandwidth`` in bytes a second; 0 means unlimited.
    ``authorization`` is the header that each request must have, "" for none.
    """

    directory: Path
    latency: float = 0
    bandwidth: float = 0
    ranges: bool = True
    authorization: str = ""
    tls: ssl.SSLContext | None = None
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    sent: int = 0
    on_request: Callable[[str], None] = lambda _: None
    on_sent: Callable[[str], None] = lambda _: None
    _free_at: float = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None

    def begin(self, port: int) -> None:
        """Note the port and the event loop that serve from now on."""
        self.port = port
        self._loop = asyncio.get_running_loop()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Send the responses that "hold" delays, and delay none until served again; thread-safe."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def fail(
        self,
        pattern: str,
        kind: int | str | Callable[[bytes], bytes],
        times: int = 1_000_000,
        **headers: str,
    ) -> None:
        self.faults.append(Fault(pattern, kind, times, headers))

    def heal(self) -> None:
        self.faults.clear()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, Cut):
            pass  # the client or the server closes the connection
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode()
        self.on_request(path)
        self.requests.append(path)
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self._fault(path)
        kind = None if fault is None else fault.kind
        if kind == "silence":
            await asyncio.get_running_loop().create_future()
        if kind == "hold":
            await self._released.wait()
        if kind == "loop":
            return self._redirect(writer, path)
        if channel := _CHANNEL.fullmatch(path):
            return self._redirect(writer, f"/releases/{channel[1]}/1{channel[2] or ''}")
        if isinstance(kind, int) and fault is not None:
            _head(writer, kind, 0, fault.headers)
            return None
        if (
            self.authorization
            and f"\r\nAuthorization: {self.authorization}\r\n".encode() not in head
        ):
            _head(writer, 401, 0)
            return None
        # As a proxy it gets whole URLs, and answers for every host.
        file = self.directory / urlsplit(path).path.lstrip("/")
        if not file.is_file():
            _head(writer, 404, 0)
            return None
        with file.open("rb") as opened:
            body = BytesIO(kind(opened.read())) if callable(kind) else opened
            await self._send(writer, body, head, kind, fault.headers if fault else {})
        self.on_sent(path)
        return None

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        body: BinaryIO,
        head: bytes,
        kind: object,
        more: dict[str, str],
    ) -> None:
        """Send the file in parts.

        A kernel may take the processor from no system call, and one that reads 100 MB delays what is
        measured beside it by 30 ms.
        """
        total = body.seek(0, os.SEEK_END)
        start = self._start(head)
        if start > total:
            return _head(writer, 416, 0)
        body.seek(start)
        headers = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}
        _head(writer, 206 if start else 200, total - start, headers | more)
        if head.startswith(b"HEAD"):
            return None
        left = (total - start) // 2 if kind == "cut" else total - start
        size = 1 if kind == "drip" else _PART
        while part := body.read(min(size, left)):
            left -= len(part)
            await self._wait(len(part))
            writer.write(part)
            self.sent += len(part)
            await writer.drain()
            if kind in {"slow", "drip"}:
                await asyncio.sleep(1 if kind == "slow" else _DRIP_SECONDS)
        if kind == "cut":
            await writer.drain()
            raise Cut
        return None

    async def _wait(self, size: int) -> None:
        if not self.bandwidth:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + size / self.bandwidth
        # Timers have a resolution of a millisecond: what is sent early is paid for later.
        if self._free_at - now > 0.002:
            await asyncio.sleep(self._free_at - now)

    def _start(self, head: bytes) -> int:
        found = re.search(rb"\r\nRange: bytes=(\d+)-\r\n", head, re.IGNORECASE)
        return int(found[1]) if found and self.ranges else 0

    def _fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, path):
                fault.times -= 1
                return fault
        return None

    @staticmethod
    def _redirect(writer: asyncio.StreamWriter, target: str) -> None:
        _head(writer, 302, 0, {"Location": target})


class Cut(Exception):
    pass


def _head(
    writer: asyncio.StreamWriter, status: int, size: int, headers: dict[str, str] | None = None
) -> None:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", f"Content-Length: {size}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())

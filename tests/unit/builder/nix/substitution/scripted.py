"""A simulated cache whose responses a test writes byte by byte."""

import re
from asyncio import StreamWriter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scripts.channel.server import Channel, Cut

# Receives the path, the first requested byte and the whole file; returns the parts of a response,
# after which the connection ends, or None for the usual response.
Script = Callable[[str, int, bytes], Iterable[bytes] | None]


@dataclass
class ScriptedChannel(Channel):
    """A channel that answers as ``script`` does, until it is healed."""

    script: Script = lambda *_: None

    def heal(self) -> None:
        super().heal()
        self.script = lambda *_: None

    async def _answer(self, head: bytes, writer: StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode()
        file = self.directory / path.lstrip("/")
        found = re.search(rb"\r\nRange: bytes=(\d+)-\r\n", head, re.IGNORECASE)
        start = int(found[1]) if found else 0
        response = self.script(path, start, file.read_bytes()) if file.is_file() else None
        if response is None:
            return await super()._answer(head, writer)
        self.requests.append(path)
        for part in response:
            writer.write(part)
            await writer.drain()
        raise Cut


def response(status: int, body: bytes = b"", **headers: object) -> bytes:
    """Return a response; ``content_length`` and other headers are those of the caller."""
    lines = [f"HTTP/1.1 {status} Status"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def part_of(body: bytes, start: int, end: int | None = None) -> bytes:
    """Return the response to a range, up to ``end``."""
    part = body[start:end]
    place = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
    return response(206, part, content_length=len(part), content_range=place)

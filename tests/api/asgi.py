"""Requests that HTTP clients cannot send, passed to the application as uvicorn does."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import httpx
from fastapi import FastAPI
from starlette.types import Message

Receive = Callable[[], Awaitable[Message]]


async def _silence() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def hang_up() -> Message:
    return {"type": "http.disconnect"}


async def ask(
    app: FastAPI,
    method: str,
    raw_path: bytes,
    *,
    query: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    receive: Receive = _silence,
) -> httpx.Response:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    await app(scope, receive, send)
    start, *bodies = messages
    assert start["type"] == "http.response.start"
    assert not bodies[-1].get("more_body", False)
    return httpx.Response(
        start["status"],
        headers=start["headers"],
        content=b"".join(body.get("body", b"") for body in bodies),
        request=httpx.Request(method, "http://registry"),
    )

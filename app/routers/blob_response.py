"""Responses for blobs: the whole blob, a range of it, or a redirect to its location."""

import asyncio
import os
import re
from contextlib import suppress
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from app.errors import BlobUnknown, RangeInvalid
from app.oci import Digest
from app.routers.responses import IMMUTABLE, content_headers, is_current
from app.storage.base import Content, LocalFile, Location, RemoteUrl
from app.system import threads
from app.system.blocking import blocking
from app.system.disk import translate_disk_errors

# ASGI's name of the extension, which ``app.server.sendfile`` offers.
_ZERO_COPY = "http.response.zerocopysend"
_CHUNK = 256 << 10
# A header with more digits than any size is ignored, as RFC 9110 allows.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def blob_response(request: Request, digest: Digest, location: Location) -> Response:
    """Return the response to a GET or HEAD, which closes the location.  Raises RangeInvalid."""
    try:
        response = _response(request, digest, location)
    except BaseException:
        close(location)
        raise
    if not isinstance(response, _FileResponse):
        close(location)
    return response


def close(location: Location) -> None:
    if isinstance(location, LocalFile):
        location.close()


def _response(request: Request, digest: Digest, location: Location) -> Response:
    headers = content_headers(digest, IMMUTABLE)
    if is_current(request, digest):
        return Response(status_code=304, headers=headers)
    if isinstance(location, RemoteUrl) and request.method == "GET":
        # The address expires; the blob does not.
        headers |= {"location": location.url, "cache-control": "no-store"}
        return Response(status_code=307, headers=headers)
    status, span = 200, range(location.size)
    wanted = _range(request, headers["etag"], location.size)
    if wanted is not None:
        status, span = 206, wanted
        headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{location.size}"
    headers |= {
        "content-type": "application/octet-stream",
        "content-length": str(len(span)),
        "accept-ranges": "bytes",
        "x-accel-buffering": "no",
    }
    if request.method == "GET":
        if isinstance(location, LocalFile):
            return _FileResponse(location, digest, span, status, headers)
        if isinstance(location, Content):
            return Response(location.body[span.start : span.stop], status, headers)
    return Response(None, status, headers)


def _range(request: Request, etag: str, size: int) -> range | None:
    """Return the requested range; None for the whole blob (RFC 9110, 14.2).

    Only GET has ranges.  Unknown units, several ranges, malformed ranges and ranges of an empty
    blob are ignored.
    """
    given = request.headers.getlist("range")
    if request.method != "GET" or len(given) != 1 or size == 0:
        return None
    # Strong comparison; a date never matches, since responses have none (13.1.5).
    if request.headers.get("if-range", etag).strip() != etag:
        return None
    match = _RANGE.fullmatch(given[0].strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeInvalid(size)
    return range(start, end)


class _FileResponse(Response):
    """A file that the kernel sends if the server supports it; else threads read it in pieces."""

    def __init__(
        self,
        location: LocalFile,
        digest: Digest,
        span: range,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, status, headers)
        self._location = location
        self._digest = digest
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.  Raises BlobUnknown, StorageUnavailable before anything is sent."""
        with self._location.file or await self._opened() as file:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if _ZERO_COPY in scope.get("extensions", {}):
                span = {"offset": self._span.start, "count": len(self._span)}
                await send({"type": _ZERO_COPY, "file": file, **span})
            else:
                await self._stream(file, receive, send)

    async def _opened(self) -> BinaryIO:
        with translate_disk_errors():
            limiter = to_thread.current_default_thread_limiter()
            return await threads.run(self._open, limiter=limiter, discard=_close)

    @blocking
    def _open(self) -> BinaryIO:
        try:
            return self._location.path.open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobUnknown(f"blob {self._digest} is not stored any longer") from None

    async def _stream(self, file: BinaryIO, receive: Receive, send: Send) -> None:
        left = asyncio.create_task(_disconnect(receive))
        try:
            offset = self._span.start
            while offset < self._span.stop and not left.done():
                length = min(_CHUNK, self._span.stop - offset)
                chunk = await to_thread.run_sync(os.pread, file.fileno(), length, offset)
                if not chunk:
                    raise EOFError("the file is shorter than it was")
                offset += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            with suppress(asyncio.CancelledError):
                await left


@blocking
def _close(file: BinaryIO) -> None:
    file.close()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

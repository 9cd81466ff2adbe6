"""Find the limits of requests in the bytes of a connection, and limit their heads.

uvicorn's protocols limit neither the size of a head nor the number of its headers.  An endless
head would fill memory, and thousands of headers would block the event loop.
"""

from contextlib import suppress
from enum import Enum

import httptools

# Other servers have the same limit; real clients, with tokens and cookies, send a few KiB.
_HEAD_BYTES = 64 << 10
_HEADERS = 200
# Of the method's target.  Paths and queries are split into any number of parts.
_TARGET_BYTES = 8 << 10


class MalformedRequest(Exception):
    """An invalid request; the message is for the client."""


class Phase(Enum):
    """The part of a request that is being read."""

    HEAD = "head"
    BODY = "body"
    """Also the trailers after the body."""
    BETWEEN = "between"


class RequestReader:
    """Reads the bytes that a connection receives, without keeping them.

    ``begun`` counts complete heads.  ``events`` changes where a request or its body begins or ends.
    The bytes between do not count, so that one that arrives byte by byte does not restart the
    time-out.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.events = 0
        # A connection that sends nothing has the same time-out as half a head.
        self.phase = Phase.HEAD
        self._url = b""
        self._bytes = 0
        self._headers = 0
        self._parser = httptools.HttpRequestParser(self)
        # Ignore bytes after a request that closes the connection, as uvicorn does.
        with suppress(AttributeError):
            self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed(self, data: bytes) -> int:
        """Parse the data; return how many bytes were read: all, except at a request to upgrade.

        Raises MalformedRequest.
        """
        if self.phase is not Phase.BETWEEN:
            self._bytes += len(data)
        read = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            read = int(upgrade.args[0]) or len(data)
        except httptools.HttpParserError:
            if self._headers > _HEADERS:
                raise MalformedRequest("The request has too many headers.") from None
            if len(self._url) > _TARGET_BYTES:
                raise MalformedRequest("The address of the request is too long.") from None
            raise MalformedRequest("Invalid HTTP request received.") from None
        if self._bytes > _HEAD_BYTES:
            raise MalformedRequest("The head of the request is too large.")
        return read

    # Callbacks of the parser, which turns their exceptions into HttpParserError.

    def on_message_begin(self) -> None:
        self._enter(Phase.HEAD)
        self._url = b""
        self._headers = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > _TARGET_BYTES:
            raise MalformedRequest

    def on_header(self, _name: bytes, _value: bytes) -> None:
        """Count a header or a trailer."""
        self._headers += 1
        if self._headers > _HEADERS:
            raise MalformedRequest

    def on_headers_complete(self) -> None:
        httptools.parse_url(self._url).path.decode("ascii")
        self.begun += 1
        self._enter(Phase.BODY)

    def on_body(self, _body: bytes) -> None:
        self._bytes = 0

    def on_message_complete(self) -> None:
        self._enter(Phase.BETWEEN)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.events += 1
        self._bytes = 0

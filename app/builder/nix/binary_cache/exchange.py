"""HTTP requests by libcurl, as Nix makes them: proxies, netrc, certificates, HTTP/2.

libcurl reads ``http_proxy``, ``https_proxy`` and ``no_proxy`` from the environment by itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.builder.nix.binary_cache.response_head import SUCCESSES, ResponseHead
from app.system.certificates import trusted_file
from app.system.on_demand import OnDemand
from app.system.retrying import is_transient_status
from app.text.redact import without_credentials

if TYPE_CHECKING:
    import pycurl
else:
    pycurl = OnDemand("pycurl")

Write = Callable[[bytes | bytearray, int], bool]

_REDIRECTS = 5
_BUFFER = 256 * 1024
# libcurl hands over 16 KiB at a time: passed on one by one, they would cost most of a download's CPU.
_TOGETHER = 256 * 1024
# Errors that libcurl describes by their number only.
_UNNAMED = {100: "a header of the response is too long"}


class TransferStopped(Exception):
    """The transfer was cancelled, or all of them were."""


class TransferFailed(Exception):
    """One line with the reason, without the URL.

    ``retry_after`` is the pause in seconds that the server requested.  ``status`` is 0 unless the
    server sent an HTTP error.
    """

    def __init__(
        self, reason: str, *, transient: bool, status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        self.transient = transient
        self.status = status
        self.retry_after = retry_after


class RangeFailed(TransferFailed):
    """The server does not continue a file where it ended, but may send all of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, transient=True)


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """Options of all requests to binary caches.

    ``netrc`` and ``certificates`` are files, or "" for none and the system's own.
    """

    netrc: str = ""
    certificates: str = ""
    stall_seconds: int = 30


class Exchange:
    """A request and its response.  One thread uses it, for one after the other.

    ``handle`` is libcurl's; the caller lets it perform between ``begin`` and ``end``.
    """

    def __init__(self, options: TransferOptions) -> None:
        self._head = ResponseHead()
        self._body = _Body(self._head, _ignore, 0)
        self._offset = 0
        self.handle = curl = pycurl.Curl()
        protocols = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
        settings: dict[int, int | str] = {
            pycurl.NOSIGNAL: 1,
            pycurl.PROTOCOLS: protocols,
            pycurl.FOLLOWLOCATION: 1,
            pycurl.REDIR_PROTOCOLS: protocols,
            pycurl.MAXREDIRS: _REDIRECTS,
            pycurl.CONNECTTIMEOUT: options.stall_seconds,
            pycurl.LOW_SPEED_LIMIT: 1,
            pycurl.LOW_SPEED_TIME: options.stall_seconds,
            pycurl.BUFFERSIZE: _BUFFER,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
            pycurl.USERAGENT: "nixery",
            # Requests no encoding, and decodes what is sent nevertheless, as objects of a bucket.
            pycurl.ACCEPT_ENCODING: "identity",
        }
        if options.netrc and Path(options.netrc).is_file():
            settings[pycurl.NETRC] = pycurl.NETRC_OPTIONAL
            settings[pycurl.NETRC_FILE] = options.netrc
        if certificates := options.certificates or trusted_file():
            settings[pycurl.CAINFO] = certificates
            settings[pycurl.PROXY_CAINFO] = certificates
        for name, value in settings.items():
            curl.setopt(name, value)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.line)

    def begin(
        self,
        url: str,
        write: Write,
        *,
        offset: int = 0,
        seconds: float = 0,
        is_decoded: bool = True,
    ) -> None:
        """Prepare a request for a file from byte ``offset`` on, for at most ``seconds`` unless 0.

        ``write`` receives parts of the body, of 256 KiB and more except the last one, with the
        position of each; it returns False to end the transfer, which is then complete.  The
        encodings of HTTP are decoded unless ``is_decoded`` is False.
        """
        self._head.reset()
        self._offset = offset
        self._body = _Body(self._head, write, offset)
        curl = self.handle
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEFUNCTION, self._body.take)
        if offset:
            curl.setopt(pycurl.RANGE, f"{offset}-")
        else:
            curl.unsetopt(pycurl.RANGE)
        curl.setopt(pycurl.HTTP_CONTENT_DECODING, int(is_decoded))
        curl.setopt(pycurl.TIMEOUT_MS, math.ceil(seconds * 1000))

    def end(self, code: int = 0, message: str = "") -> None:
        """Check the response; ``code`` and ``message`` are libcurl's.

        Raises TransferFailed, RangeFailed if ``offset`` was not 0.  An error of ``write`` is raised
        again.
        """
        body = self._body
        body.finish()
        if code and not body.has_enough:
            raise _failure(code, message)
        if body.failure is not None:
            raise body.failure
        self._check()
        if not body.has_enough and self._head.lacks(body.end):
            raise TransferFailed("the server sent only a part of the file", transient=True)

    @property
    def is_encoded(self) -> bool:
        """Whether the positions in the body are not those in the file of the server."""
        return self._head.is_encoded

    @property
    def encoding(self) -> str:
        """The encoding of the body, "" if it has none."""
        return self._head.encoding

    @property
    def date(self) -> str:
        """The Date header of the response, "" without one."""
        return self._head.date

    def _check(self) -> None:
        head = self._head
        if head.status in SUCCESSES:
            return
        if head.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._offset:
            if head.total == self._offset:
                return  # the connection broke after the last byte
            raise RangeFailed("the server does not send the rest of the file")
        why = f"the server responded with {head.status}"
        if head.status == HTTPStatus.UNAUTHORIZED:
            why = f"{why}, no netrc file has its password or it is wrong"
        if head.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            why = "the proxy responded with 407, its address has no password or a wrong one"
        raise TransferFailed(
            why,
            transient=is_transient_status(head.status),
            status=head.status,
            retry_after=head.retry_after,
        )


class _Body:
    """The body of a response, which is passed on if the status is a success."""

    def __init__(self, head: ResponseHead, write: Write, offset: int) -> None:
        self._head = head
        self._write = write
        self._offset = offset
        self._position = 0
        self._received = bytearray()
        self.end = 0
        self.has_enough = False
        self.failure: Exception | None = None

    def take(self, part: bytes) -> int | None:
        """Return None to continue; 0, which is not the length of the part, ends the transfer."""
        self._received += part
        if len(self._received) < _TOGETHER:
            return None
        if self._head.status not in SUCCESSES:
            self.has_enough = True  # the text of an error is not used, and may have no end
            return 0
        return self._pass_on()

    def finish(self) -> None:
        """Pass on the rest, also of a transfer that failed and will be continued."""
        if self._received and not self.has_enough:
            self._pass_on()

    def _pass_on(self) -> int | None:
        # Not copied: that would take a fiftieth of the CPU time of a first pull.
        part, self._received = self._received, bytearray()
        head, position = self._head, self._position
        if head.status not in SUCCESSES:
            return None
        if self._offset and head.has_unknown_place:
            self.failure = RangeFailed("the server does not state which part of the file it sends")
            self.has_enough = True
            return 0
        self._position += len(part)
        self.end = head.start + self._position
        try:
            self.has_enough = not self._write(part, head.start + position)
        except Exception as error:  # noqa: BLE001  raised when libcurl has ended the transfer
            self.failure, self.has_enough = error, True
        return 0 if self.has_enough else None


def _ignore(_: bytes | bytearray, __: int) -> bool:
    return True


def shown(url: str) -> str:
    """Return the URL without possible secrets: the user part and the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0].rpartition("@")[2]
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


def _failure(code: int, message: str) -> TransferFailed:
    # Errors that a second attempt does not change.
    lasting = {
        pycurl.E_TOO_MANY_REDIRECTS,
        pycurl.E_UNSUPPORTED_PROTOCOL,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_PEER_FAILED_VERIFICATION,
    }
    is_foreign = code == pycurl.E_UNSUPPORTED_PROTOCOL and "HTTP/0.9" in message
    match code:
        case _ if is_foreign:
            message = "the response is not HTTP"
        case pycurl.E_TOO_MANY_REDIRECTS:
            message = f"more than {_REDIRECTS} redirects"
        case pycurl.E_UNSUPPORTED_PROTOCOL:
            message = "not an http or https URL"
        case pycurl.E_PARTIAL_FILE | pycurl.E_GOT_NOTHING:
            message = "the connection broke in the middle of the response"
        case pycurl.E_OPERATION_TIMEDOUT:
            message = "the server sends nothing, or too slowly"
        case _:
            message = without_credentials(message) or _UNNAMED.get(code, f"libcurl error {code}")
    return TransferFailed(message, transient=is_foreign or code not in lasting)

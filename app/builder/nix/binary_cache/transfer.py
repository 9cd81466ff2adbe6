"""HTTP transfers by libcurl, as Nix makes them: proxies, netrc, certificates, HTTP/2.

libcurl reads ``http_proxy``, ``https_proxy`` and ``no_proxy`` from the environment by itself.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.system.blocking import blocking
from app.system.certificates import trusted_file
from app.system.on_demand import OnDemand
from app.system.retrying import is_transient_status

if TYPE_CHECKING:
    import pycurl
else:
    pycurl = OnDemand("pycurl")

_REDIRECTS = 5
_BUFFER = 256 * 1024


class TransferStopped(Exception):
    """The event that ends all transfers was set."""


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


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """``netrc`` and ``certificates`` are files, or "" for none and the system's own."""

    netrc: str = ""
    certificates: str = ""
    stall_seconds: int = 30


class Transfer:
    """An open connection, for one thread."""

    def __init__(self, options: TransferOptions, stop: threading.Event) -> None:
        self._stop = stop
        self._is_cancelled: Callable[[], bool] = stop.is_set
        self._head = _Head()
        self._curl = curl = pycurl.Curl()
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
            pycurl.NOPROGRESS: 0,
        }
        if options.netrc and Path(options.netrc).is_file():
            settings[pycurl.NETRC] = pycurl.NETRC_OPTIONAL
            settings[pycurl.NETRC_FILE] = options.netrc
        if certificates := options.certificates or trusted_file():
            settings[pycurl.CAINFO] = certificates
        for name, value in settings.items():
            curl.setopt(name, value)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.line)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._progress)

    @blocking
    def get(
        self,
        url: str,
        write: Callable[[bytes, int], bool],
        *,
        offset: int = 0,
        seconds: float = 0,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Request a file from byte ``offset`` on, for at most ``seconds`` unless they are 0.

        ``write`` receives parts of the body with the position of each; it returns False to end the
        transfer, which is then complete.  A file that was sent encoded is requested from its start.
        Raises TransferFailed, TransferStopped.
        """
        head, curl = self._head, self._curl
        if head.is_encoded:
            offset = 0
        head.reset()
        received = 0
        has_enough = False
        failure: Exception | None = None
        self._is_cancelled = is_cancelled

        def take(part: bytes) -> int:
            nonlocal received, has_enough, failure
            if head.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                return len(part)
            try:
                has_enough = not write(part, head.start + received)
            except Exception as error:  # noqa: BLE001  raised when libcurl has ended the transfer
                failure, has_enough = error, True
            received += len(part)
            return 0 if has_enough else len(part)

        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEFUNCTION, take)
        if offset:
            curl.setopt(pycurl.RANGE, f"{offset}-")
        else:
            curl.unsetopt(pycurl.RANGE)
        curl.setopt(pycurl.TIMEOUT_MS, math.ceil(seconds * 1000))
        try:
            curl.perform()
        except pycurl.error as error:
            if self._stop.is_set() or is_cancelled():
                raise TransferStopped from None
            if not has_enough:
                raise _failure(error) from None
        if failure is not None:
            raise failure
        self._judge()

    @property
    def date(self) -> str:
        """The Date header of the last response, "" without one."""
        return self._head.date

    def close(self) -> None:
        self._curl.close()

    def _judge(self) -> None:
        head = self._head
        if head.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return
        if head.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise TransferFailed("the file is shorter than before", transient=False)
        why = f"the server answers {head.status}"
        if head.status == HTTPStatus.UNAUTHORIZED:
            why = f"{why}, no netrc file has its password or it is wrong"
        raise TransferFailed(
            why,
            transient=is_transient_status(head.status),
            status=head.status,
            retry_after=head.retry_after,
        )

    def _progress(self, *_: float) -> int:
        return 1 if self._stop.is_set() or self._is_cancelled() else 0


class _Head:
    """The status line and the headers of the last response."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.status = 0
        self.start = 0
        self.date = ""
        self.is_encoded = False
        self.retry_after: float | None = None

    def line(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self.reset()
            words = line.split()
            self.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
            return
        name, _, value = line.partition(b":")
        match name.lower():
            case b"retry-after":
                # The form with a date would need a trusted clock.
                seconds = value.strip()
                self.retry_after = float(seconds) if seconds.isdigit() else None
            case b"content-encoding":
                self.is_encoded = True
            case b"date":
                self.date = value.strip().decode(errors="replace")
            case b"content-range":
                first = value.strip().removeprefix(b"bytes ").partition(b"-")[0]
                if self.status == HTTPStatus.PARTIAL_CONTENT and first.isdigit():
                    self.start = int(first)
            case _:
                pass


def shown(url: str) -> str:
    """Return the URL without possible secrets: the user part and the query."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


def _failure(error: "pycurl.error") -> TransferFailed:
    code, message = int(error.args[0]), str(error.args[-1])
    # Errors that a second attempt does not change.
    lasting = {
        pycurl.E_TOO_MANY_REDIRECTS,
        pycurl.E_UNSUPPORTED_PROTOCOL,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_PEER_FAILED_VERIFICATION,
    }
    match code:
        case pycurl.E_TOO_MANY_REDIRECTS:
            message = f"more than {_REDIRECTS} redirects"
        case pycurl.E_UNSUPPORTED_PROTOCOL:
            message = "not an http or https URL"
        case pycurl.E_PARTIAL_FILE | pycurl.E_GOT_NOTHING:
            message = "the connection broke in the middle of the response"
        case pycurl.E_OPERATION_TIMEDOUT:
            message = "the server sends nothing, or too slowly"
        case _:
            message = message or f"libcurl error {code}"
    return TransferFailed(message, transient=code not in lasting)

"""A client of other registries: pushes by the distribution specification ("Push")."""

import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import BinaryIO

import httpx
from anyio import to_thread

from app.commands.credentials import Credentials
from app.errors import OperatorError
from app.oci import Descriptor
from app.system.retrying import is_transient_status
from app.system.web_address import is_web_address
from app.text.sanitize import one_line

_BODY_LIMIT = 1 << 20
_CHUNK = 1 << 20
_REASON_LIMIT = 300
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class CannotPush(OperatorError):
    """The message is one line with the registry and its reason."""


class PushInterrupted(CannotPush):
    """A failure that another attempt may not have."""


class RegistryClient:
    """Pushes to one repository of the registry at ``base``, ``https://HOST[:PORT]``.

    Credentials are sent to that origin, and to the address that it names for tokens.
    """

    def __init__(
        self, http: httpx.AsyncClient, *, base: str, repository: str, credentials: Credentials
    ) -> None:
        self._http = http
        self._base = base
        self._repository = repository
        self._credentials = credentials
        self._authorization = ""

    async def has_blob(self, blob: Descriptor) -> bool:
        """Return whether the registry has the blob.  Raises CannotPush."""
        response = await self._send("HEAD", self._url(f"blobs/{blob.digest}"))
        if response.status_code in {HTTPStatus.OK, HTTPStatus.TEMPORARY_REDIRECT}:
            return True
        if response.status_code == HTTPStatus.NOT_FOUND:
            return False
        raise self._refused(response)

    async def push_blob(self, blob: Descriptor, open_blob: Callable[[], BinaryIO]) -> None:
        """Send a blob in one request.  Raises CannotPush."""
        started = await self._send("POST", self._url("blobs/uploads/"))
        location = started.headers.get("location", "")
        if started.status_code != HTTPStatus.ACCEPTED or not location:
            raise self._refused(started)
        url = self._parsed(location, started.request.url)
        url = url.copy_merge_params({"digest": str(blob.digest)})
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(blob.size),
        }
        sent = await self._send("PUT", str(url), headers, lambda: _parts(open_blob))
        if sent.status_code != HTTPStatus.CREATED:
            raise self._refused(sent)

    async def push_manifest(self, reference: str, manifest: Descriptor, body: bytes) -> None:
        """Push a manifest; ``reference`` is a tag or the digest.  Raises CannotPush."""
        headers = {"content-type": str(manifest.media_type)}
        url = self._url(f"manifests/{reference}")
        response = await self._send("PUT", url, headers, lambda: body)
        if response.status_code != HTTPStatus.CREATED:
            raise self._refused(response)
        stored = response.headers.get("docker-content-digest", str(manifest.digest))
        if stored != str(manifest.digest):
            raise CannotPush(f"{self._base} stored {manifest.digest} as {one_line(stored, 100)}")

    async def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: Callable[[], AsyncIterator[bytes] | bytes] = bytes,
    ) -> httpx.Response:
        """Send a request, with a new token if the registry requires one.  Raises CannotPush."""
        response = await self._send_once(method, url, headers or {}, body())
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._is_own(url):
            self._authorization = await self._authorize(response)
            response = await self._send_once(method, url, headers or {}, body())
        if is_transient_status(response.status_code):
            raise PushInterrupted(str(self._refused(response)))
        return response

    async def _send_once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: AsyncIterator[bytes] | bytes,
        *,
        data: dict[str, str] | None = None,
    ) -> httpx.Response:
        own = {"authorization": self._authorization} if self._authorization else {}
        if not self._is_own(url):
            own = {}
        try:
            request = self._http.build_request(
                method, url, headers={**own, **headers}, content=content or None, data=data
            )
            response = await self._http.send(request, stream=True)
            try:
                return await _bounded(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            reason = one_line(str(error) or type(error).__name__, _REASON_LIMIT)
            raise PushInterrupted(f"{self._base}: {reason}") from None

    async def _authorize(self, response: httpx.Response) -> str:
        """Return the Authorization header that the registry requires.  Raises CannotPush."""
        challenge = response.headers.get("www-authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._credentials.basic:
            return self._credentials.basic
        parameters = dict(_CHALLENGE.findall(rest))
        realm = parameters.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise self._denied()
        if self._parsed(realm).scheme != "https" and self._base.startswith("https:"):
            raise CannotPush(f"{self._base} requires a password without TLS")
        wanted = {
            "service": parameters.get("service", ""),
            "scope": f"repository:{self._repository}:pull,push",
        }
        return f"Bearer {await self._token(realm, wanted)}"

    async def _token(self, realm: str, wanted: dict[str, str]) -> str:
        identity = self._credentials.identity_token
        if identity:
            form = {"grant_type": "refresh_token", "refresh_token": identity, "client_id": "nixery"}
            response = await self._send_once("POST", realm, {}, b"", data={**form, **wanted})
        else:
            basic = self._credentials.basic
            url = str(self._parsed(realm).copy_merge_params(wanted))
            headers = {"authorization": basic} if basic else {}
            response = await self._send_once("GET", url, headers, b"")
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise self._denied()
        if not response.is_success:
            raise self._refused(response)
        try:
            document = response.json()
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str):
            raise CannotPush(f"{self._base} sends no token")
        return token

    def _denied(self) -> CannotPush:
        named = f"user {self._credentials.user}" if self._credentials.user else "no user"
        return CannotPush(
            f"{self._base} denies access to {self._repository} with {named}: run docker login"
            " (credential helpers are not used)"
        )

    def _refused(self, response: httpx.Response) -> CannotPush:
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return self._denied()
        try:
            first = response.json()["errors"][0]
            reason = f": {first.get('code', '')} {first.get('message', '')}"
        except (ValueError, LookupError, AttributeError, TypeError):
            reason = ""
        text = f"{self._base} responded with {response.status_code} for {self._repository}{reason}"
        return CannotPush(one_line(text, _REASON_LIMIT))

    def _is_own(self, url: str) -> bool:
        one, own = httpx.URL(url), httpx.URL(self._base)
        return (one.scheme, one.netloc) == (own.scheme, own.netloc)

    def _parsed(self, address: str, base: httpx.URL | None = None) -> httpx.URL:
        """Parse an address that the registry sent.  Raises CannotPush."""
        try:
            url = base.join(address) if base else httpx.URL(address)
        except (httpx.InvalidURL, ValueError):
            url = None
        if url is None or not is_web_address(str(url)):
            raise CannotPush(f"{self._base} sends an invalid address")
        return url

    def _url(self, path: str) -> str:
        return f"{self._base}/v2/{self._repository}/{path}"


async def _bounded(response: httpx.Response) -> httpx.Response:
    """Return the response with its body, which is cut at a limit."""
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > _BODY_LIMIT:
            break
    headers = {name: value for name, value in response.headers.items() if name in _KEPT}
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(body), request=response.request
    )


_KEPT = frozenset({"location", "www-authenticate", "docker-content-digest", "content-type"})


async def _parts(open_blob: Callable[[], BinaryIO]) -> AsyncIterator[bytes]:
    file = await to_thread.run_sync(open_blob)
    try:
        while part := await to_thread.run_sync(file.read, _CHUNK):
            yield part
    finally:
        await to_thread.run_sync(file.close)

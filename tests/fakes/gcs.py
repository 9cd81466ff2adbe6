"""A small Google Cloud Storage: real HTTP on the loopback, one bucket, checked signatures.

It keeps what the backend relies on: preconditions, uploads in one request and in several,
checksums, paged lists, tokens, V4 signatures (for GET alone, and for an hour), a machine's
metadata server and IAM's signBlob.  ``faults`` makes requests go wrong.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote

import google_crc32c
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.auth.credentials import CredentialsWithRegionalAccessBoundary
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.served import served

BUCKET = "images"
EMAIL = "registry@project.iam.gserviceaccount.com"
_PAGE = 3
_PERMISSIONS = {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")}


class Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class Fault:
    """Goes wrong once: before anything is done, or after (the reply is lost)."""

    method: str
    path: str
    status: int = 503
    after: bool = False

    def meets(self, request: Request) -> bool:
        return request.method == self.method and bool(re.search(self.path, request.url.path))


@dataclass
class Upload:
    key: str
    precondition: str | None
    received: bytearray = field(default_factory=bytearray)
    finished: bool = False


_TOKEN = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
# Making one takes longer than most tests.
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeGcs:
    def __init__(self) -> None:
        self.address = ""
        self.reset()
        self.app = Starlette(
            routes=[
                self._route("/storage/v1/b/{bucket}/iam/testPermissions", self._test_permissions),
                self._route("/storage/v1/b/{bucket}/o", self._list),
                self._route("/storage/v1/b/{bucket}/o/{key:path}", self._object),
                self._route("/download/storage/v1/b/{bucket}/o/{key:path}", self._download),
                self._route("/upload/storage/v1/b/{bucket}/o", self._upload),
                self._route("/token", self._token, open_to_all=True),
                self._route("/", self._metadata, open_to_all=True),
                self._route("/computeMetadata/v1/{item:path}", self._metadata, open_to_all=True),
                self._route("/sign/{email}", self._sign_blob),
                self._route("/{bucket}/{key:path}", self._signed_download, open_to_all=True),
            ]
        )

    @classmethod
    @contextmanager
    def served(cls, directory: Path) -> Iterator["FakeGcs"]:
        """Where Google's client, configured by the environment alone, finds it."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            yield from cls._served(monkeypatch, directory)

    @classmethod
    def _served(cls, monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator["FakeGcs"]:
        fake = cls()
        # The library asks Google about every service account, in a thread of its own.
        monkeypatch.setattr(
            CredentialsWithRegionalAccessBoundary,
            "_is_regional_access_boundary_lookup_required",
            lambda _: False,
        )
        with served(fake.app) as fake.address:
            key_file = directory / "key.json"
            key_file.write_text(fake._key_document())
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.address)
            yield fake

    def reset(self) -> None:
        """Empty, and everything works."""
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.damaged: set[str] = set()
        self.log: list[str] = []
        self.permissions = set(_PERMISSIONS)
        self.may_sign = True
        self._uploads: dict[str, Upload] = {}

    def _key_document(self) -> str:
        private = _KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        document = {
            "type": "service_account",
            "project_id": "project",
            "client_email": EMAIL,
            "private_key": private.decode(),
            "private_key_id": "1",
            "token_uri": f"{self.address}/token",
        }
        return json.dumps(document)

    def _route(
        self,
        path: str,
        answer: Callable[[Request, bytes], Response],
        *,
        open_to_all: bool = False,
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            self.log.append(f"{request.method} {request.url.path}")
            fault = next((fault for fault in self.faults if fault.meets(request)), None)
            if fault is not None:
                self.faults.remove(fault)
                if not fault.after:
                    return Response("fault", fault.status)
            try:
                if not open_to_all and request.headers.get("authorization") != "Bearer token":
                    raise Refusal(401, "no token")
                if request.path_params.get("bucket", BUCKET) != BUCKET:
                    raise Refusal(404, "no such bucket")
                response = answer(request, body)
            except Refusal as refusal:
                return JSONResponse(
                    {"error": {"code": refusal.status, "message": refusal.reason}}, refusal.status
                )
            return response if fault is None else Response("the reply is lost", fault.status)

        return Route(path, endpoint, methods=["GET", "HEAD", "POST", "PUT", "DELETE"])

    def _test_permissions(self, request: Request, _: bytes) -> Response:
        asked = set(request.query_params.getlist("permissions"))
        return JSONResponse({"permissions": sorted(asked & self.permissions)})

    def _list(self, request: Request, _: bytes) -> Response:
        prefix = request.query_params.get("prefix", "")
        after = request.query_params.get("pageToken", "")
        found = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page: dict[str, object] = {"items": [{"name": key} for key in found[:_PAGE]]}
        if len(found) > _PAGE:
            page["nextPageToken"] = found[_PAGE - 1]
        return JSONResponse(page)

    def _object(self, request: Request, body: bytes) -> Response:
        key = request.path_params["key"]
        if request.query_params.get("alt") == "media":
            return self._download(request, body)
        if request.method == "DELETE":
            self._match_generation(request, self._found(key))
            del self.objects[key]
            return Response(status_code=204)
        return self._described(key)

    def _download(self, request: Request, _: bytes) -> Response:
        body = self._found(request.path_params["key"])
        if request.query_params.get("generation", _generation(body)) != _generation(body):
            raise Refusal(404, "no such generation")
        self._match_generation(request, body)
        headers = {"x-goog-hash": f"crc32c={_crc32c(body)}"}
        if request.path_params["key"] in self.damaged:
            body = body[:-1] + b"?"
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            first, last = int(match[1]), int(match[2] or len(body) - 1)
            if first >= len(body):
                return Response(status_code=416)
            headers["content-range"] = f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}"
            return Response(body[first : last + 1], 206, headers)
        return Response(body, 200, headers)

    def _upload(self, request: Request, body: bytes) -> Response:
        query = request.query_params
        if session := query.get("upload_id"):
            return self._continue(session, request, body)
        if query["uploadType"] == "resumable":
            upload = Upload(json.loads(body)["name"], query.get("ifGenerationMatch"))
            self._permit(upload)
            self._uploads[session := str(len(self._uploads) + 1)] = upload
            return Response(headers={"location": f"{request.url}&upload_id={session}"})
        boundary = re.findall(r'boundary="?([^";]+)', request.headers["content-type"])[0].encode()
        _, description, content, _ = body.split(b"--" + boundary)
        document = json.loads(description.partition(b"\r\n\r\n")[2])
        upload = Upload(document["name"], query.get("ifGenerationMatch"))
        content = content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        return self._finish(upload, content, document.get("crc32c"))

    def _continue(self, session: str, request: Request, body: bytes) -> Response:
        upload = self._uploads[session]
        match = re.fullmatch(
            r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", request.headers.get("content-range", "")
        )
        if match is None:
            raise Refusal(400, "Content-Range")
        if match[1] is not None:
            known = len(upload.received) - int(match[1])
            if known < 0:
                raise Refusal(400, "not the next part")
            upload.received += body[known:]  # bytes received before are ignored
        if match[2] == "*" or int(match[2]) > len(upload.received):
            headers = {}
            if upload.received:
                headers["range"] = f"bytes=0-{len(upload.received) - 1}"
            return Response(status_code=308, headers=headers)
        if upload.finished:  # a repeated last part
            return self._described(upload.key)
        checksum = request.headers.get("x-goog-hash", "").partition("crc32c=")[2]
        return self._finish(upload, bytes(upload.received), checksum)

    def _finish(self, upload: Upload, content: bytes, checksum: str | None) -> Response:
        self._permit(upload)
        if checksum != _crc32c(content):
            raise Refusal(400, "checksum")
        self.objects[upload.key] = content
        upload.finished = True
        return self._described(upload.key)

    def _permit(self, upload: Upload) -> None:
        if upload.precondition == "0" and upload.key in self.objects:
            raise Refusal(412, "conditionNotMet")

    def _match_generation(self, request: Request, body: bytes) -> None:
        wanted = request.query_params.get("ifGenerationMatch", _generation(body))
        if wanted != _generation(body):
            raise Refusal(412, "conditionNotMet")

    def _token(self, _request: Request, _body: bytes) -> Response:
        return JSONResponse(_TOKEN)

    def _metadata(self, request: Request, _: bytes) -> Response:
        """The metadata server of a machine that has a service account and no key."""
        item = request.path_params.get("item", "").strip("/")
        flavor = {"metadata-flavor": "Google"}
        if item.endswith("/token"):
            return JSONResponse(_TOKEN, headers=flavor)
        if item.startswith("instance/service-accounts/"):
            return JSONResponse({"email": EMAIL, "scopes": [], "aliases": []}, headers=flavor)
        plain = {
            "": "computeMetadata/",
            "project/project-id": "project",
            "universe/universe-domain": "googleapis.com",
        }
        if item not in plain:
            raise Refusal(404, "no such item")
        return Response(plain[item], headers=flavor, media_type="text/plain")

    def _sign_blob(self, request: Request, body: bytes) -> Response:
        if not self.may_sign or request.path_params["email"] != EMAIL:
            raise Refusal(403, "iam.serviceAccounts.signBlob denied")
        message = base64.b64decode(json.loads(body)["payload"])
        signature = _KEY.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return JSONResponse({"signedBlob": base64.b64encode(signature).decode()})

    def _signed_download(self, request: Request, body: bytes) -> Response:
        query = dict(parse_qsl(request.url.query))
        signature = binascii.unhexlify(query.pop("X-Goog-Signature", ""))
        begun = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if datetime.now(UTC) > begun + timedelta(seconds=int(query["X-Goog-Expires"])):
            raise Refusal(400, "ExpiredToken")
        canonical = "\n".join(
            [
                request.method,
                request.url.path,
                "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(query.items())),
                f"host:{request.headers['host']}\n",
                "host",
                "UNSIGNED-PAYLOAD",
            ]
        )  # fmt: skip
        scope = query["X-Goog-Credential"].partition("/")[2]
        message = "\n".join(
            [
                "GOOG4-RSA-SHA256",
                query["X-Goog-Date"],
                scope,
                hashlib.sha256(canonical.encode()).hexdigest(),
            ]
        )
        try:
            public = _KEY.public_key()
            public.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refusal(403, "SignatureDoesNotMatch") from None
        return self._download(request, body)

    def _found(self, key: str) -> bytes:
        try:
            return self.objects[key]
        except KeyError:
            raise Refusal(404, "no such object") from None

    def _described(self, key: str) -> Response:
        body = self._found(key)
        document = {"name": key, "bucket": BUCKET, "crc32c": _crc32c(body)}
        document["generation"] = _generation(body)
        if body:  # some servers leave a zero out
            document["size"] = str(len(body))
        return JSONResponse(document)


def _generation(body: bytes) -> str:
    """Other bytes have another number, as far as tests need it."""
    return str(google_crc32c.value(body) or 1)


def _crc32c(body: bytes) -> str:
    return base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()

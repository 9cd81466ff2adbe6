"""A client that believes nothing: of each pull every byte is hashed."""

import gzip
import hashlib
import json
import threading
from dataclasses import dataclass, field

import httpx

from tests.e2e.server import ACCEPT


class Disturbed(Exception):
    """What a client would report as a failed pull, and try again; ``kind`` is for counting."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class WrongAnswer(AssertionError):
    """A response that no disturbance excuses."""


class WrongImage(AssertionError):
    """An image whose parts agree with their digests and that is wrong all the same."""


@dataclass
class Checks:
    """What all pulls together have shown; shared by threads."""

    pulls: int = 0
    size: int = 0
    layers: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    # Of each blob; a blob's bytes are hashed at every pull, inflated at the first.
    diff_ids: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class VerifyingClient:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._http = httpx.Client(timeout=120, follow_redirects=True, headers={"accept": ACCEPT})

    def close(self) -> None:
        self._http.close()

    def pull(self, url: str, name: str) -> str:
        """Return the digest of the image's manifest; raises Disturbed, WrongAnswer, WrongImage."""
        manifest_digest, body = self._get(f"{url}/v2/{name}/manifests/latest", None)
        self._is_known(name, manifest_digest)
        manifest = json.loads(body)
        _, by_digest = self._get(f"{url}/v2/{name}/manifests/{manifest_digest}", manifest_digest)
        if by_digest != body:
            raise WrongImage(f"{name}: the manifest by digest is another one")
        config = json.loads(self._blob(url, name, manifest["config"]))
        diff_ids = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(manifest["layers"]) or len(config["history"]) != len(diff_ids):
            raise WrongImage(
                f"{name}: {len(diff_ids)} diff IDs for {len(manifest['layers'])} layers"
            )
        failed: list[Disturbed] = []
        for layer, diff_id in zip(manifest["layers"], diff_ids, strict=True):
            try:
                body = self._blob(url, name, layer)
            except Disturbed as disturbed:
                # Clients fetch layers side by side: the others are requested as well.
                failed.append(disturbed)
                if disturbed.kind == "connection":
                    break
                continue
            found = self._diff_id(layer["digest"], body)
            if found != diff_id:
                raise WrongImage(f"{name}: {layer['digest']} is {found}, not {diff_id}")
        if failed:
            raise failed[0]
        with self._checks.lock:
            self._checks.pulls += 1
            self._checks.layers += len(diff_ids)
        return manifest_digest

    def _blob(self, url: str, name: str, descriptor: dict[str, object]) -> bytes:
        digest = str(descriptor["digest"])
        _, body = self._get(f"{url}/v2/{name}/blobs/{digest}", digest)
        if len(body) != descriptor["size"]:
            raise WrongImage(f"{name}: {digest} has {len(body)} bytes, not {descriptor['size']}")
        return body

    def _get(self, url: str, digest: str | None) -> tuple[str, bytes]:
        """The digest and the bytes that are of it; None takes what the server states."""
        try:
            response = self._http.get(url)
        except httpx.TransportError as error:
            raise Disturbed("connection", f"{url}: {error!r}") from None
        if response.status_code in {404, 503}:
            if response.status_code == 503 and "retry-after" not in response.headers:
                raise WrongAnswer(f"{url}: 503 without Retry-After: {response.text}")
            raise Disturbed(str(response.status_code), f"{url}: {response.text}")
        if response.status_code != 200:
            raise WrongAnswer(f"{url}: {response.status_code} {response.text}")
        wanted = digest or response.headers["docker-content-digest"]
        found = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        if found != wanted:
            raise Disturbed("digest", f"{url}: {found}")
        with self._checks.lock:
            self._checks.size += len(response.content)
        return wanted, response.content

    def _diff_id(self, digest: str, body: bytes) -> str:
        with self._checks.lock:
            known = self._checks.diff_ids.get(digest)
        if known is None:
            known = f"sha256:{hashlib.sha256(gzip.decompress(body)).hexdigest()}"
            with self._checks.lock:
                self._checks.diff_ids[digest] = known
        return known

    def _is_known(self, name: str, digest: str) -> None:
        """Whatever was lost and made again, an image stays what it was."""
        with self._checks.lock:
            known = self._checks.digests.setdefault(name, digest)
        if known != digest:
            raise WrongImage(f"{name} was {known} and is {digest}")

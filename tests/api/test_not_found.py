"""Mistyped images, as requested by clients that hide the message of a 404."""

from dataclasses import dataclass

import httpx
import pytest

from app.errors import ImageUnknown, NotADerivation
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

TYPO = "/v2/shell/helo/manifests/latest"
MESSAGE = "no such package: helo (did you mean hello?)"
ALL_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json, */*"
)
DOCKER_29 = (
    "docker/29.7.2 go/go1.26.4 git-commit/8c1ab0f kernel/6.1.0-49-amd64 os/linux arch/amd64"
    " containerd-client/2.3.3+unknown storage-driver/overlayfs"
    r" UpstreamClient(Docker-Client/29.7.2 \(linux\))"
)
DOCKER_20 = (
    "docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1 os/linux arch/amd64"
    r" UpstreamClient(Docker-Client/20.10.24+dfsg1 \(linux\))"
)
EMBEDDED_BUILDKIT = "buildkit/v0.0-dev moby/29.7.2"
EXPLAINED = [
    DOCKER_29,
    "docker/29.8.0 go/go1.26 os/linux containerd-client/2.4.0+unknown storage-driver/overlayfs",
    "containerd/2.3.3+unknown",
    "containerd/v2.3.4",
    "containerd/2.3.10",
    "containerd/2.4.0-beta.0+unknown",
    "containerd/2.10.0",
    "containerd/3.0.0",
    "buildkit/v0.32",
    "buildkit/v0.40-dev",
    "buildkit/v1.0",
    EMBEDDED_BUILDKIT,
    "oras/1.3.0",
    "oras-go",
]
NOT_EXPLAINED = [
    # These print the message of a 404.
    DOCKER_20,
    "containers/5.39.2 (github.com/containers/image)",
    "skopeo/1.22.2",
    "go-containerregistry/v0.21.9",
    "curl/8.14.1",
    # These print no message; "not found" is more helpful than a status.
    "containerd/1.6.20~ds1",
    "containerd/2.2.5",
    "containerd/2.3.2+unknown",
    "docker/29.6.2 go/go1.26 os/linux containerd-client/2.2.5+unknown storage-driver/overlayfs",
    "buildkit/v0.31",
    "buildkit/v0.3",
    "",
]


@dataclass(frozen=True)
class Session:
    """A client that resolves a tag as recorded from containerd 2.3.4 and Docker 29.7.2."""

    client: httpx.AsyncClient
    user_agent: str

    async def resolve(self, path: str) -> str:
        """HEAD first; only a 403 is followed by a GET, whose body has the message to print."""
        head = await self._send("HEAD", path)
        if head.status_code == 404:
            return "not found"
        assert head.status_code == 403
        get = await self._send("GET", path)
        assert headers_of(get) == headers_of(head)
        return assert_error(get, 403, "MANIFEST_UNKNOWN")

    async def _send(self, method: str, path: str) -> httpx.Response:
        headers = {"User-Agent": self.user_agent, "Accept": ALL_TYPES, "Accept-Encoding": "gzip"}
        return await self.client.request(method, path, headers=headers)


@pytest.mark.parametrize("user_agent", EXPLAINED[:-2])
async def test_docker_containerd_and_buildkit_print_why_a_package_is_not_found(
    client: httpx.AsyncClient, user_agent: str
) -> None:
    assert await Session(client, user_agent).resolve(TYPO) == MESSAGE


@pytest.mark.parametrize("path", [TYPO, f"{TYPO}?ns=registry.example"])
async def test_requests_of_mirrors_are_explained_too(client: httpx.AsyncClient, path: str) -> None:
    assert await Session(client, "containerd/2.3.4+unknown").resolve(path) == MESSAGE


@pytest.mark.parametrize("user_agent", EXPLAINED[-2:])
async def test_oras_prints_why_a_package_is_not_found(
    client: httpx.AsyncClient, user_agent: str
) -> None:
    response = await client.get(TYPO, headers={"user-agent": user_agent})

    assert assert_error(response, 403, "MANIFEST_UNKNOWN") == MESSAGE


@pytest.mark.parametrize("user_agent", EXPLAINED)
@pytest.mark.parametrize(
    ("error", "path"),
    [
        (None, "/v2/hello/manifests/no-such-tag"),
        (NotADerivation("hello", "a function"), "/v2/hello/manifests/latest"),
        (ImageUnknown("hello may be Hello or HELLO"), "/v2/hello/manifests/latest"),
    ],
)
async def test_every_kind_of_mistyped_image_is_explained(
    client: httpx.AsyncClient,
    registry: Registry,
    user_agent: str,
    error: ImageUnknown | None,
    path: str,
) -> None:
    if error is not None:
        registry.images.broken["hello"] = error

    response = await client.get(path, headers={"user-agent": user_agent})

    assert_error(response, 403, "MANIFEST_UNKNOWN")
    assert_of_a_registry(response)


@pytest.mark.parametrize("user_agent", NOT_EXPLAINED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_other_clients_get_404(
    client: httpx.AsyncClient, user_agent: str, method: str
) -> None:
    response = await client.request(method, TYPO, headers={"user-agent": user_agent})

    assert response.status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("user_agent", EXPLAINED)
@pytest.mark.parametrize(
    "path",
    [
        f"/v2/hello/manifests/sha256:{'0' * 64}",
        f"/v2/hello/blobs/sha256:{'0' * 64}",
        f"/v2/hello/manifests/sha256-{'0' * 64}",
        f"/v2/hello/manifests/sha256-{'0' * 64}.sig",
        "/v2/hello/manifests/latest.att",
        "/v2/helo/tags/list",
        "/v2/_catalog",
        "/v2/hello/nothing",
    ],
)
async def test_digests_attachments_lists_and_unknown_routes_stay_404(
    client: httpx.AsyncClient, user_agent: str, path: str
) -> None:
    response = await client.get(path, headers={"user-agent": user_agent})

    assert response.status_code == 404
    assert "warning" not in response.headers


@pytest.mark.parametrize("user_agent", EXPLAINED)
async def test_the_setting_switches_it_off(
    client: httpx.AsyncClient, registry: Registry, user_agent: str
) -> None:
    registry.change(explain_not_found=False)

    response = await client.get(TYPO, headers={"user-agent": user_agent})

    assert_error(response, 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("user_agent", [DOCKER_29, "containers/5.39.2"])
async def test_no_cache_gives_one_clients_response_to_another(
    client: httpx.AsyncClient, user_agent: str
) -> None:
    response = await client.get(TYPO, headers={"user-agent": user_agent})

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "User-Agent"


@pytest.mark.parametrize(
    ("message", "warning"),
    [
        ("helo is unknown", "helo is unknown"),
        (r'a "quoted" \ text', "a 'quoted' / text"),
        ("né\r\nX-Forged: 1", "n? X-Forged: 1"),
        ("%0a and 100 % and %zz", r"\%0a and 100 % and %zz"),
        ("x" * 400, "x" * 150 + "..." + "x" * 149),
    ],
)
async def test_the_message_is_a_warning_too(
    client: httpx.AsyncClient,
    registry: Registry,
    message: str,
    warning: str,
) -> None:
    registry.images.broken["hello"] = ImageUnknown(message)

    for user_agent in (DOCKER_29, DOCKER_20):
        for method in ("GET", "HEAD"):
            response = await client.request(
                method, "/v2/hello/manifests/latest", headers={"user-agent": user_agent}
            )
            assert response.headers.get_list("warning") == [f'299 - "{warning}"']

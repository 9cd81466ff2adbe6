"""Whatever is asked under /v2, a registry answers: in one form, without a fault of its own."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.oci import MediaType
from app.state import WaitPolicy
from tests.api.asgi import ask
from tests.api.registry import new_registry
from tests.api.shape import assert_error, assert_of_a_registry

DIGEST = "sha256:" + "0" * 64
WORDS = st.sampled_from(
    [
        "manifests",
        "blobs",
        "tags",
        "list",
        "referrers",
        "_catalog",
        "uploads",
        "v2",
        "latest",
        "hello",
        "shell",
        "git",
        "Hello",
        "a" * 256,
        "..",
        ".",
        "",
        "%2f",
        "%00",
        "a%0a",
        "%",
        DIGEST,
        DIGEST + "0",
        "sha512:" + "0" * 128,
        "sha256-" + "0" * 64 + ".sig",
        "x:",
        "@",
    ]
)
URL_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#"))
PATHS = st.lists(st.one_of(WORDS, URL_TEXT), max_size=6).map(lambda parts: "/" + "/".join(parts))
METHODS = st.one_of(
    st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"]),
    st.text(st.characters(categories=["Lu"], max_codepoint=0x7E), min_size=1, max_size=9),
)
# As httptools lets them pass: any byte but the line's end.
VALUES = st.one_of(
    st.sampled_from(
        [
            b"bytes=0-1",
            b"bytes=9-",
            b"bytes=--",
            b"lines=1-2",
            b"*/*",
            b"*",
            b'"x"',
            b"0",
            b"chunked",
            MediaType.DOCKER_MANIFEST.encode(),
            b"containerd/2.3.4",
            b";q=;q=0,,",
            b"text/html",
        ]
    ),
    st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0")),
)
NAMES = st.sampled_from(
    [
        b"accept",
        b"range",
        b"if-range",
        b"if-none-match",
        b"user-agent",
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"authorization",
        b"cookie",
        b"expect",
        b"x-forwarded-proto",
    ]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)
QUERIES = st.one_of(
    st.sampled_from([b"n=1", b"n=-1&last=x", b"_w=9", b"_w=99999", b"artifactType=x", b"ns=x"]),
    st.binary(max_size=30).map(lambda query: query.translate(None, b"\r\n\0 #")),
)
ALLOWED = {200, 206, 304, 307, 400, 404, 405, 416, 429}


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS)
async def test_any_request_under_v2_gets_the_response_of_a_registry(
    method: str, path: str, query: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    registry = new_registry(WaitPolicy(redirect_seconds=0.01, redirects=1, hold_seconds=0.01))
    registry.change(catalog=True)

    response = await ask(registry.app, method, b"/v2" + path.encode(), query=query, headers=headers)

    assert response.status_code in ALLOWED
    assert_of_a_registry(response)
    if method == "HEAD":
        assert response.content == b""
    elif response.status_code >= 400:
        code = response.json()["errors"][0]["code"]
        assert_error(response, response.status_code, code)
    elif response.status_code == 200 and response.headers["content-type"].endswith("json"):
        json.loads(response.content)
    if response.status_code == 200:
        assert response.headers["content-length"]
    for name, value in response.headers.raw:
        assert not set(name + value) & set(b"\r\n\0")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/v2/", "no-cache"),
        ("/v2/hello/tags/list", "no-cache"),
        (f"/v2/hello/referrers/{DIGEST}", "no-cache"),
        ("/v2/_catalog", "no-store"),  # switched off, and an error
        ("/v2/hello/manifests/latest", "no-cache"),
        ("/v2/helo/manifests/latest", "no-store"),
        ("/healthz", "no-cache"),
        ("/readyz", "no-cache"),
        ("/debug", "no-cache"),
        ("/api/search?q=h", "no-cache"),
        ("/builds", "no-store"),
        ("/nothing", "no-store"),
    ],
)
async def test_caches_do_not_keep_what_changes(
    client: httpx.AsyncClient, path: str, kept: str
) -> None:
    for method in ("GET", "HEAD"):
        response = await client.request(method, path)

        assert response.headers.get_list("cache-control") == [kept]

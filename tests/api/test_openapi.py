"""The interface description is correct: schemathesis sends the requests that it allows."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from requests import PreparedRequest, Session

from app.state import WaitPolicy
from tests.api.registry import new_registry
from tests.served import served

REGISTRY = new_registry(WaitPolicy(redirect_seconds=0.2, redirects=2, hold_seconds=0.2))

schema = schemathesis.openapi.from_dict(REGISTRY.app.openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(REGISTRY.app) as address:
        yield address


def unescaped(request: PreparedRequest) -> PreparedRequest:
    """OpenAPI knows no parameters with slashes; clients made from it escape them, and colons."""
    assert request.url is not None
    path, mark, query = request.url.partition("?")
    request.url = path.replace("%2F", "/").replace("%3A", ":") + mark + query
    return request


ADDED = {
    "/healthz",
    "/readyz",
    "/debug",
    "/metrics",
    "/builds",
    "/builds/{identifier}",
    "/builds/{identifier}/events",
    "/api/builds",
    "/api/images/{name}",
    "/api/diff/{name}",
    "/api/plan/{name}",
    "/api/search",
}


def test_head_requests_errors_and_headers_are_described_too() -> None:
    paths = REGISTRY.app.openapi()["paths"]

    assert {path for path in paths if set(paths[path]) != {"get", "head"}} == ADDED
    for path, operations in paths.items():
        for operation in operations.values():
            assert {"4XX", "5XX"} <= set(operation["responses"]), path
    for path, headers in {
        "/v2/{name}/manifests/{reference}": {307: "Location", 429: "Retry-After", 200: "Warning"},
        "/v2/{name}/blobs/{digest}": {307: "Location", 416: "Content-Range", 206: "Content-Range"},
    }.items():
        for operation in paths[path].values():
            described = operation["responses"]
            assert {"Docker-Content-Digest", "ETag"} <= set(described["200"]["headers"])
            assert "Retry-After" in described["503"]["headers"]
            for status, header in headers.items():
                assert header in described[str(status)]["headers"]
    (redirect,) = [
        parameter
        for parameter in paths["/v2/{name}/manifests/{reference}"]["get"]["parameters"]
        if parameter["in"] == "query"
    ]
    assert redirect["name"] == "_w"


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=15, deadline=None)
def test_answers_are_as_described(case: schemathesis.Case[Any], address: str) -> None:
    with Session() as session:
        session.auth = unescaped
        case.call_and_validate(base_url=address, session=session)

"""The interface description has all operations, errors and headers."""

from tests.api.registry import Registry

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


def test_head_requests_errors_and_headers_are_described_too(registry: Registry) -> None:
    paths = registry.app.openapi()["paths"]

    assert {path for path in paths if set(paths[path]) != {"get", "head"}} == ADDED
    for path, operations in paths.items():
        for operation in operations.values():
            assert {"4XX", "5XX"} <= set(operation["responses"]), path
            for response in operation["responses"].values():
                assert "X-Request-Id" in response["headers"], path
                is_registry = path.startswith("/v2/")
                assert ("Docker-Distribution-Api-Version" in response["headers"]) is is_registry
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

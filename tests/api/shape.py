"""The form of a registry's errors."""

import re

import httpx

ADDRESS = re.compile(r"/nix/store/\S+|\S*/builds/[0-9a-f]+")


def assert_error(response: httpx.Response, status: int, code: str) -> str:
    """Return the message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))
    (entry,) = response.json()["errors"]
    assert set(entry) == {"code", "message", "detail"}
    assert entry["code"] == code
    assert isinstance(entry["detail"], dict)
    message = entry["message"]
    assert isinstance(message, str)
    assert 0 < len(message) <= 300
    assert len(message.splitlines()) == 1
    return message


def assert_of_a_registry(response: httpx.Response) -> None:
    assert response.headers.get_list("docker-distribution-api-version") == ["registry/2.0"]


def headers_of(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the headers that do not depend on the request's number, sorted."""
    return sorted(item for item in response.headers.multi_items() if item[0] != "x-request-id")

"""Errors in the form of registries, with messages for people."""

import asyncio
import re
from contextlib import suppress

import httpx
import pytest

from app import errors
from app.builder.builds.manifests import Manifest
from app.errors import (
    BuildFailed,
    BuildTimedOut,
    EvaluationFailed,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
    SourceUnavailable,
    StorageUnavailable,
)
from app.oci import Digest
from app.routers.errors import STATUS, status_of
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

HELLO = "/v2/hello/manifests/latest"


def descendants(error: type[RegistryError]) -> list[type[RegistryError]]:
    return [error, *(found for child in error.__subclasses__() for found in descendants(child))]


@pytest.mark.parametrize("error", descendants(RegistryError), ids=lambda error: error.__name__)
def test_every_error_has_its_documented_status(error: type[RegistryError]) -> None:
    assert errors.__doc__ is not None
    documented = {
        line.split()[0]: int(line.split()[1])
        for line in errors.__doc__.splitlines()
        if len(line.split()) > 2 and line.split()[1].isdigit()
    }
    documented["RegistryError"] = 500
    row = next(name for base in error.__mro__ if (name := base.__name__) in documented)

    assert status_of(error) == documented[row]


def test_no_row_of_the_table_is_unused() -> None:
    assert set(STATUS) <= set(descendants(RegistryError))


async def test_the_error_for_an_unknown_package_has_suggestions(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/v2/shell/helo/manifests/latest")

    message = assert_error(response, 404, "MANIFEST_UNKNOWN")
    assert message == "no such package: helo (did you mean hello?)"
    assert response.json()["errors"][0]["detail"]["packages"] == ["helo"]


@pytest.mark.parametrize(
    "error",
    [
        BuildFailed("hello-1.0.drv failed: make: *** [all] Error 2"),
        BuildTimedOut("the build took longer than 600 s"),
        EvaluationFailed("infinite recursion encountered"),
        PolicyRefused("hello is unfree; the setting allow_unfree decides"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_refusals_have_the_status_whose_message_every_client_prints(
    client: httpx.AsyncClient, registry: Registry, error: RegistryError
) -> None:
    registry.images.broken["hello"] = error

    response = await client.get(HELLO)

    message = assert_error(response, 403, "UNKNOWN")
    (job,) = registry.jobs.finished
    assert message == f"{error.message} (see http://registry/builds/{job.identifier})"


async def test_one_error_of_two_builds_links_each_client_to_its_own_page(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.broken["hello"] = BuildFailed("no")

    for name in ("hello", "git/hello", "hello"):
        message = assert_error(await client.get(f"/v2/{name}/manifests/latest"), 403, "UNKNOWN")
        page = await client.get(message.partition("(see ")[2].rstrip(")"))
        assert page.json()["image"] == f"{name}:latest"


async def test_the_link_to_the_page_has_the_public_address_and_is_never_shortened(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.change(external_url="https://images.example.org")
    registry.images.broken["hello"] = BuildFailed("x" * 1000)

    message = assert_error(await client.get(HELLO), 403, "UNKNOWN")

    (job,) = registry.jobs.finished
    assert message.endswith(f" (see https://images.example.org/builds/{job.identifier})")
    assert "…" in message


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "localhost:5000"}, "http://localhost:5000"),
        ({"host": "[::1]:5000"}, "http://[::1]:5000"),
        ({"host": "x" * 101}, ""),
        ({"host": "evil.example/(see"}, ""),
        ({"host": ""}, ""),
    ],
)
async def test_without_a_public_address_the_link_has_the_one_the_client_used(
    client: httpx.AsyncClient, registry: Registry, headers: dict[str, str], address: str
) -> None:
    registry.images.broken["hello"] = BuildFailed("x" * 1000)

    message = assert_error(await client.get(HELLO, headers=headers), 403, "UNKNOWN")

    (job,) = registry.jobs.finished
    assert message.endswith(f"x (see {address}/builds/{job.identifier})")


async def test_messages_and_details_are_one_line_without_secrets_or_host_paths(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.broken["hello"] = BuildFailed(
        "\x1b[31merror:\x1b[0m\n at /srv/pkgs/x.nix: cannot fetch https://joe:hunter2@git/x",
        derivation="/nix/store/x.drv",
    )

    response = await client.get(HELLO)

    message = assert_error(response, 403, "UNKNOWN")
    assert message.startswith("error: at x.nix: cannot fetch https://***@git/x")
    assert response.json()["errors"][0]["detail"] == {"derivation": "/nix/store/x.drv"}


async def test_an_internal_error_reveals_nothing_and_is_logged(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    registry.images.broken["hello"] = OSError("/etc/shadow")

    response = await client.get(HELLO)

    assert assert_error(response, 500, "UNKNOWN").startswith(
        "internal error (see http://registry/builds/"
    )
    assert_of_a_registry(response)
    assert any("Traceback" in line and "/etc/shadow" in line for line in log)


async def test_an_internal_error_of_a_route_is_logged_once(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    registry.change(images=None)

    response = await client.get(HELLO)

    assert assert_error(response, 500, "UNKNOWN") == "internal error"
    assert sum("Traceback" in line for line in log) == 1


async def test_transient_errors_have_a_retry_after(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.broken["hello"] = SourceUnavailable("the channel cannot be reached")

    response = await client.get(HELLO)

    message = assert_error(response, 503, "UNAVAILABLE")
    assert message == "the channel cannot be reached"
    assert int(response.headers["retry-after"]) > 0


async def test_repeating_a_failed_request_builds_nothing(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.broken["hello"] = BuildFailed("no")

    for _ in range(6):
        assert (await client.head(HELLO)).status_code == 403

    assert len(registry.images.builds) == 1


async def test_a_failure_is_logged_once_for_all_its_clients(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    registry.images.broken["hello"] = BuildFailed("hello-1.drv failed: /srv/pkgs is not there")

    for _ in range(6):
        await client.head(HELLO)

    (logged,) = [line for line in log if "hello-1.drv" in line and "DEBUG" not in line]
    assert re.match(r"INFO hello:latest failed after \d", logged)
    assert "hello-1.drv failed: /srv/pkgs is not there" in logged


async def test_a_failure_without_waiting_clients_is_logged(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    registry.images.slow["sleepy"] = asyncio.Event()
    await client.get("/v2/sleepy/manifests/latest")
    await client.get("/v2/sleepy/typo/manifests/latest")
    assert not [line for line in log if "sleepy" in line and "/v2/" not in line]

    registry.images.slow["sleepy"].set()
    for job in registry.jobs.running:
        with suppress(PackagesUnknown):
            await job.wait(5)
    await asyncio.sleep(0)

    assert [line for line in log if "sleepy:latest done after " in line]
    assert [line for line in log if "sleepy/typo:latest failed after " in line]


async def test_the_log_has_the_cause_that_the_response_hides(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    failure = StorageUnavailable("the registry's storage does not work")
    failure.__cause__ = NotADirectoryError(20, "Not a directory", "/srv/nixery/blobs")
    registry.images.broken["hello"] = failure

    message = assert_error(await client.get(HELLO), 503, "UNAVAILABLE")

    assert message == "the registry's storage does not work"
    (logged,) = [line for line in log if "does not work" in line and "DEBUG" not in line]
    assert logged.startswith("WARNING")
    assert "NotADirectoryError: [Errno 20] Not a directory: '/srv/nixery/blobs'" in logged


async def test_a_failure_after_the_build_is_not_mistaken_for_a_logged_one(
    client: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    """The job logs its own failures, so that the route logs those at DEBUG."""
    assert (await client.get(HELLO)).status_code == 200

    class AwayManifests:
        async def read(self, digest: Digest) -> Manifest:
            raise StorageUnavailable(f"cannot read {digest}")

    registry.change(manifests=AwayManifests())
    assert_error(await client.get(HELLO), 503, "UNAVAILABLE")

    (line,) = [line for line in log if "cannot read" in line]
    assert line.startswith("WARNING")


async def test_head_of_an_error_has_its_length_and_no_body(client: httpx.AsyncClient) -> None:
    head = await client.head("/v2/helo/manifests/latest")
    get = await client.get("/v2/helo/manifests/latest")

    assert head.status_code == 404
    assert head.content == b""
    assert headers_of(head) == headers_of(get)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/hello",
        "/v2/hello/manifests/latest/",
        "/v2/hello/manifests",
        "/v2/manifests/latest",
        "/v2/hello/tags",
        "/v2/hello/tags/list/",
        "/v2/x/y/z",
        "/v2/hello/blobs/uploads/1/2",
    ],
)
async def test_unknown_routes_get_the_error_of_a_registry_and_no_redirect(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)

    assert_error(response, 404, "UNSUPPORTED")
    assert_of_a_registry(response)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2",
        "/v2/hello/manifests/latest",
        "/v2/hello/blobs/uploads/",
        "/v2/hello/blobs/uploads/1?digest=x",
        "/v2/%%%",
        "/v2/hello/tags/list",
    ],
)
async def test_nothing_is_ever_written(
    client: httpx.AsyncClient, registry: Registry, method: str, path: str
) -> None:
    response = await client.request(method, path, content=b"layer")

    assert_error(response, 405, "UNSUPPORTED")
    assert_of_a_registry(response)
    assert response.headers["allow"] == "GET, HEAD"
    assert response.headers["connection"] == "close"
    assert registry.images.builds == []


async def test_a_write_without_a_body_leaves_the_connection_open(
    client: httpx.AsyncClient,
) -> None:
    response = await client.delete("/v2/hello/manifests/latest")

    assert response.status_code == 405
    assert "connection" not in response.headers


@pytest.mark.parametrize("path", ["/v2/a%2fb/manifests/latest", "/v2/a/manifests/lat%0A", "/%762/"])
async def test_percent_encoded_paths_are_refused(
    client: httpx.AsyncClient, registry: Registry, path: str
) -> None:
    response = await client.get(path)

    assert_error(response, 400, "NAME_INVALID")
    assert_of_a_registry(response)
    assert registry.images.builds == []


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/hello/referrers/sha256:{'0' * 64}?artifactType=a&artifactType=b",
        "/v2/hello/tags/list?n=1&last=a&n=1",
        "/v2/hello/tags/list?last=a&%6Cast=b",
        "/v2/hello/manifests/latest?tag=a&_w=1&tag=a",
        "/api/search?q=a&q=",
        "/builds?image=a&image=a",
    ],
)
async def test_repeated_parameters_of_a_query_are_refused(
    client: httpx.AsyncClient, registry: Registry, path: str
) -> None:
    response = await client.get(path)

    message = assert_error(response, 400, "UNSUPPORTED")
    assert message == "each parameter of a query may be given once"
    assert registry.images.builds == []


async def test_a_query_with_very_many_parameters_is_refused(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    response = await client.get("/v2/hello/manifests/latest?" + "&_w=1" * 65)

    assert assert_error(response, 400, "UNSUPPORTED") == "a query has at most 64 parameters"
    assert registry.images.builds == []


async def test_parameters_of_mirrors_and_redirects_may_be_repeated(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/v2/hello/manifests/latest?ns=a&_w=1&ns=b&_w=2")

    assert response.status_code == 200


@pytest.mark.parametrize("last", ["%C2%8D", "%FF", "%00", "%26n=1"])
async def test_any_value_of_a_parameter_is_accepted(client: httpx.AsyncClient, last: str) -> None:
    response = await client.get(f"/v2/hello/tags/list?n=1&last={last}")

    assert response.status_code == 200


async def test_errors_outside_v2_have_the_same_form_without_the_registrys_header(
    client: httpx.AsyncClient,
) -> None:
    for response in (await client.get("/nothing/here"), await client.get("/v2x")):
        assert_error(response, 404, "UNSUPPORTED")
        assert "docker-distribution-api-version" not in response.headers
    assert_error(await client.post("/healthz"), 405, "UNSUPPORTED")

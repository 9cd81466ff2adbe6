"""Faults that pass: tried again within the job, then 503 with what failed, and soon forgotten."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.binary_cache import BinaryCache, cached_set, filled_cache, serving
from tests.e2e.newer_nix import NewerNix
from tests.e2e.ports import free_port
from tests.e2e.process import run
from tests.e2e.server import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

# Faults of narinfos come first: Nix caches narinfos.
FAULTS: dict[str, tuple[str, int | str]] = {
    "all-silent": (r"", "silence"),
    "narinfo-500": (r"\.narinfo", 500),
    "nar-500": (r"/nar/", 500),
    "nar-404": (r"/nar/", 404),
    "nar-cut": (r"/nar/", "cut"),
    "nar-silent": (r"/nar/", "silence"),
}
MakeServer = Callable[..., Server]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def cache(
    every_nix: NewerNix, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BinaryCache]:
    with filled_cache(every_nix, packages, tmp_path_factory.mktemp("cache")) as cache:
        yield cache


@pytest.fixture
def make_server(
    every_nix: NewerNix, packages: Path, cache: BinaryCache, tmp_path: Path
) -> Iterator[MakeServer]:
    """Make servers with an empty store, which do not build unless ``build`` is set."""
    made: list[Server] = []

    def make(
        *,
        build: bool = False,
        cache: BinaryCache = cache,
        programs: Path | None = None,
        **settings: str,
    ) -> Server:
        home = tmp_path / f"server-{len(made)}"
        home.mkdir()
        file = home / "nixery.toml"
        file.write_text(
            f'[[sources]]\nname = "team"\nkind = "path"\nlocation = "{packages}"\n'
            f'substituters = ["{cache.url}"]\nbuild = {str(build).lower()}\n'
        )
        limits = {
            "NIXERY_RETRIES": "1",
            "NIXERY_FAILURE_SECONDS": "0",
        }
        server = Server(
            home,
            packages,
            within=every_nix.with_store(home).within,
            PATH=f"{programs}:{every_nix.path}" if programs else every_nix.path,
            NIXERY_CONFIG=str(file),
            NIX_CONFIG=f"trusted-public-keys = {cache.key}",
            **(limits | settings),
        )
        made.append(server)
        return server.start()

    yield make
    cache.heal()
    for server in made:
        server.stop()


def test_a_failing_cache_is_named_with_the_path_and_queried_again_by_the_next_pull(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    server = make_server(NIXERY_STALL_SECONDS="1")

    for name, (pattern, kind) in FAULTS.items():
        cache.fail(pattern, kind)
        answer = server.get("/v2/team/tree/manifests/latest")
        cache.heal()
        check_reported(server, answer, cache, name)

    server.digest("team/tree")


def absent_later(cache: BinaryCache) -> BinaryCache:
    """Return a cache of the same files, at a port that nothing else gets while it is down."""
    return BinaryCache(cache.directory, cache.key, port=free_port())


def test_a_cache_that_is_down_is_named_and_nothing_is_remembered_longer_than_ten_seconds(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    with ExitStack() as stack:
        gone = stack.enter_context(serving(absent_later(cache)))
        server = make_server(cache=gone, NIXERY_FAILURE_SECONDS="3600")
        stack.close()

        answer = server.get("/v2/team/tree/manifests/latest")

        check_reported(server, answer, gone, "down")
        with serving(gone):
            wait_until(lambda: server.get("/v2/team/tree/manifests/latest").status_code == 200)


class OnlyForNix(BinaryCache):
    """A cache that is not reached by HTTP, and that is down."""

    @property
    def url(self) -> str:
        return "ssh://cache.invalid"


@pytest.mark.parametrize("build", [True, False])
def test_a_cache_that_only_nix_could_reach_is_named_too(
    make_server: MakeServer, cache: BinaryCache, *, build: bool
) -> None:
    down = OnlyForNix(cache.directory, cache.key)
    server = make_server(build=build, cache=down)

    answer = server.get("/v2/team/tree/manifests/latest")

    check_reported(server, answer, down, "ssh")


def test_a_client_does_not_notice_a_transient_fault(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    server = make_server(NIXERY_RETRIES="3")
    cache.fail(r"/nar/", 500, times=3)
    cache.fail(r"/nar/", "cut", times=1)

    server.digest("team/tree")

    [build] = server.get("/builds").json()["finished"]
    log = server.get(build["page"]).json()["log"]
    assert any("another attempt follows in 1 s" in line for line in log), log


def test_a_source_that_may_build_is_not_refused_for_a_fault_of_its_cache(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    server = make_server(build=True)
    cache.fail(r"/nar/", 500)

    answer = server.get("/v2/team/tree/manifests/latest")

    check_reported(server, answer, cache, "nar-500")


def test_nothing_is_built_from_source_while_a_cache_is_down(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    with ExitStack() as stack:
        gone = stack.enter_context(serving(absent_later(cache)))
        server = make_server(build=True, cache=gone)
        stack.close()

        answer = server.get("/v2/team/tree/manifests/latest")

        check_reported(server, answer, gone, "down")
        with serving(gone):
            # What no cache has is built.
            server.digest("team/tree/elsewhere")


def test_a_path_that_a_cache_gets_later_is_served_as_soon_as_the_refusal_is_forgotten(
    make_server: MakeServer, cache: BinaryCache, every_nix: NewerNix, packages: Path
) -> None:
    server = make_server()
    refused = server.get("/v2/team/elsewhere/manifests/latest")
    assert refused.status_code == 403, refused.text
    assert "not there: elsewhere-1.0" in refused.text

    cache.fill(every_nix, packages, "elsewhere")

    server.digest("team/elsewhere")


def test_a_garbage_collection_under_builds_refuses_nothing(
    make_server: MakeServer, cache: BinaryCache, every_nix: NewerNix
) -> None:
    server = make_server(build=True, NIXERY_RETRIES="3")
    collecting, stop = server.within, threading.Event()

    def collect() -> None:
        while not stop.is_set():
            run(*collecting, "nix-store", "--gc", env={"PATH": every_nix.path})

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for image in ("tree", "local", "leaf", "leaf/local", "tree/local", "tree/leaf/local"):
            server.digest(f"team/{image}")
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("times", "status"), [(1, 200), (1000, 503)])
def test_a_slow_response_of_the_store_is_transient(
    make_server: MakeServer, every_nix: NewerNix, tmp_path: Path, times: int, status: int
) -> None:
    """A query takes longer than it may, as often as ``times``."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for n in range(times if status == 200 else 0):
        (programs / f"slow-{n}").touch()
    slow = programs / "nix"
    slow.write_text(
        f"#!/bin/sh\nPATH={every_nix.path}\n"
        'case "$*" in *path-info*)\n'
        f"  if [ {status} = 503 ] || rm {programs}/slow-0 2>/dev/null; then sleep 60; fi\n"
        'esac\nexec nix "$@"\n'
    )
    slow.chmod(0o755)
    # Packages that are packed while they are downloaded are not in the store.
    server = make_server(
        programs=programs, NIXERY_STORE_SECONDS="2", NIXERY_CACHE_STREAMING="false"
    )

    answer = server.get("/v2/team/tree/manifests/latest")

    assert answer.status_code == status, answer.text
    if status == 503:
        assert 0 < int(answer.headers["Retry-After"]) <= 10
        assert "longer than 2 s for a query to its store" in answer.text


def check_reported(server: Server, answer: httpx.Response, cache: BinaryCache, fault: str) -> None:
    assert answer.status_code == 503, f"{fault}: {answer.text}"
    assert 0 < int(answer.headers["Retry-After"]) <= 10
    message = answer.json()["errors"][0]["message"]
    assert re.search(rf"{cache.url}.* /nix/store/[0-9a-z]{{32}}-", message), f"{fault}: {message}"
    latest = server.get("/builds").json()["finished"][0]
    assert cache.url in latest["message"], fault
    assert "/nix/store/" in latest["message"], fault
    assert message[:100] in server.complete_log().replace("\\", ""), fault

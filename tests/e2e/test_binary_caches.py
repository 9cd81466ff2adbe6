"""What a source gets from binary caches, and what it does not, with every Nix in reach."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.binary_cache import BinaryCache, cached_set, filled_cache
from tests.e2e.newer_nix import NewerNix
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

WRONG_KEY = "team-1:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
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
    """Makes servers that have the cache alone, each with a store of its own."""
    made: list[Server] = []

    def make(keys: str, **source: str) -> Server:
        home = tmp_path / f"server-{len(made)}"
        home.mkdir()
        lines = [f"{name} = {value}" for name, value in source.items()]
        settings = home / "nixery.toml"
        settings.write_text(
            f'[[sources]]\nname = "team"\nkind = "path"\nlocation = "{packages}"\n'
            f'substituters = ["{cache.url}"]\n' + "\n".join(lines)
        )
        server = Server(
            home,
            packages,
            within=every_nix.with_store(home).within,
            PATH=every_nix.path,
            NIXERY_CONFIG=str(settings),
            NIX_CONFIG=f"trusted-public-keys = {keys}",
        )
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()


@pytest.mark.parametrize("trusted", ["true", "false"])
def test_a_source_that_may_not_build_never_builds_what_has_no_trusted_signature(
    make_server: MakeServer, cache: BinaryCache, trusted: str
) -> None:
    server = make_server(WRONG_KEY, build="false", trusted=trusted)

    answer = server.get("/v2/team/tree/manifests/latest")

    [error] = answer.json()["errors"]
    assert answer.status_code == 403, answer.text
    assert "build = false" in error["message"]
    assert f"{cache.url}: the signature by team-1 of /nix/store/" in error["message"]
    [build] = server.get("/builds").json()["finished"]
    page = server.get(build["page"]).json()
    assert not any("building /nix" in line for line in page["log"]), page["log"]
    assert any("is not trusted" in line for line in page["log"]), page["log"]
    assert "the signature by team-1" in server.complete_log()


def test_an_unsigned_path_is_called_so(make_server: MakeServer, cache: BinaryCache) -> None:
    server = make_server(cache.key, build="false")
    texts = {file: file.read_text() for file in cache.directory.glob("*.narinfo")}
    for file, text in texts.items():
        lines = text.splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("Sig:")))

    answer = server.get("/v2/team/tree/manifests/latest")

    for file, text in texts.items():
        file.write_text(text)
    assert answer.status_code == 403, answer.text
    assert "is not signed" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("trusted", ["true", "false"])
def test_a_source_that_may_not_build_is_served_what_the_cache_has(
    make_server: MakeServer, cache: BinaryCache, trusted: str
) -> None:
    server = make_server(cache.key, build="false", trusted=trusted)

    server.digest("team/tree/local")


def test_the_wanted_outputs_are_named_where_the_cache_lacks_them(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    server = make_server(cache.key, build="false")

    answer = server.get("/v2/team/tree/elsewhere/manifests/latest")

    assert answer.status_code == 403, answer.text
    assert "not there: elsewhere-1.0 (see" in answer.json()["errors"][0]["message"]


def test_a_build_caused_by_an_untrusted_signature_is_reported(
    make_server: MakeServer, cache: BinaryCache
) -> None:
    server = make_server(WRONG_KEY)

    server.digest("team/tree")

    [build] = server.get("/builds").json()["finished"]
    warning = f"warning: {cache.url}: the signature by team-1 of /nix/store/"
    assert any(line.startswith(warning) for line in server.get(build["page"]).json()["log"])
    assert f"{cache.url}: the signature by team-1 of" in server.complete_log()


def test_a_failed_build_names_the_untrusted_signature(
    make_server: MakeServer, cache: BinaryCache, every_nix: NewerNix, packages: Path
) -> None:
    permit = packages.with_name("permit")
    permit.touch()
    cache.fill(every_nix, packages, "fragile")
    permit.unlink()
    server = make_server(WRONG_KEY)

    answer = server.get("/v2/team/fragile/manifests/latest")

    message = answer.json()["errors"][0]["message"]
    assert answer.status_code == 403, answer.text
    assert f"{cache.url}: the signature by team-1 of /nix/store/" in message
    assert "fragile-1.0" in message

"""A company follows docs/binary-caches.md, with its own blocks, to a private cache with a key."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.binary_cache import BinaryCache, cached_set, filled_cache
from tests.e2e.newer_nix import NewerNix, own_nix
from tests.e2e.server import ROOT, Server

pytestmark = [pytest.mark.e2e, pytest.mark.full]

PAGE = (ROOT / "docs" / "binary-caches.md").read_text()
HOST = "https://cache.example.com"


def block(start: str) -> str:
    """Return the block of the page that starts so."""
    found = re.search(
        rf"^ *```\w+\n *({re.escape(start)}.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE
    )
    assert found is not None, start
    return "\n".join(line.strip() for line in found[1].splitlines()) + "\n"


@dataclass
class Company:
    home: Path
    nix: NewerNix
    packages: Path
    cache: BinaryCache

    def server(self, key: str, more: str = "") -> Server:
        home = self.home / f"server-{len(list(self.home.glob('server-*')))}"
        (home / "nix.conf.d").mkdir(parents=True)
        sources = block("[[sources]]").replace("/srv/packages", str(self.packages))
        sources = sources.replace(HOST, self.cache.url).replace(', "https://cache.nixos.org"', "")
        (home / "nixery.toml").write_text(sources + more)
        keys = re.sub(r"= .*", f"= {key}", block("extra-trusted-public-keys"))
        machine = "sandbox = false\nbuild-users-group =\n"
        (home / "nix.conf.d" / "nix.conf").write_text(machine + keys)
        server = Server(
            home,
            self.packages,
            within=self.nix.with_store(home).within,
            NIXERY_CONFIG=str(home / "nixery.toml"),
            NIX_CONF_DIR=str(home / "nix.conf.d"),
        )
        return server.start()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    nix, packages = own_nix(tmp_path / "builder"), cached_set(tmp_path)
    directory = tmp_path / "cache"
    directory.mkdir()
    with filled_cache(nix, packages, directory) as cache:
        yield Company(tmp_path, nix, packages, cache)


def test_the_page_leads_to_a_private_cache_and_its_messages_are_those_of_a_wrong_key(
    company: Company,
) -> None:
    name, _, _ = company.cache.key.partition(":")
    wrong = f"{name}:{'A' * 43}="
    server = company.server(company.cache.key, "build = false\n")
    server.digest("team/tree")
    server.stop()

    [expected] = re.findall(r"\(build = false\): " + HOST + r": the\n(signature by) ", PAGE)
    for key, why in (
        (wrong, f"trusted-public-keys has another key {name}"),
        (f"other-{wrong}", "trusted-public-keys"),
    ):
        server = company.server(key, "build = false\n")
        answer = server.get("/v2/team/tree/manifests/latest")
        server.stop()
        message = answer.json()["errors"][0]["message"]
        assert answer.status_code == 403, message
        assert message.startswith("source team only serves what a binary cache has (build = false)")
        assert f"{company.cache.url}: the {expected} {name} of /nix/store/" in message
        assert f"({why})" in message

    server = company.server(wrong)
    server.digest("team/tree")
    server.stop()
    assert "a binary cache is ignored" in server.log

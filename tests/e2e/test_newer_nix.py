"""The server with the Nix of later Debian releases; all other tests have the machine's own."""

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e import forging
from tests.e2e.clients import Containerd, pull
from tests.e2e.forging import CLAIMING, FORGING, HONEST
from tests.e2e.newer_nix import NewerNix, unpack_nix
from tests.e2e.reaching import (
    ALWAYS_REFUSED,
    CALLING,
    EVER_REFUSED,
    READING,
    SECRET,
    Listener,
    lay_out,
    listener,
    permissive,
    point,
)
from tests.e2e.server import ROOT, Server, ServerFactory

pytestmark = pytest.mark.e2e


# The last one changes daily, and may be broken on a day.
@pytest.fixture(scope="module", params=["trixie", pytest.param("sid", marks=pytest.mark.full)])
def nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    return unpack_nix(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def newer(
    nix: NewerNix, salted_packages: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    lock = packages / "locks" / "x86_64-linux.json"
    nix.run(sys.executable, str(ROOT / "nix" / "debian" / "generate.py"), "seed", str(lock))
    server = Server(
        tmp_path_factory.mktemp("newer"), salted_packages, within=nix.within, PATH=nix.path
    )
    yield server.start()
    server.stop()


def test_it_is_newer_than_the_oldest_that_is_supported(nix: NewerNix) -> None:
    major, minor = nix.version().split(".")[:2]

    assert (int(major), int(minor)) > (2, 8)


def test_an_image_runs_and_is_the_same_as_the_oldest_nix_makes(
    newer: Server, containerd: Containerd, new_server: ServerFactory, salted_packages: Path
) -> None:
    digest = newer.digest("hello/jq")

    pull(containerd, f"{newer.address}/hello/jq:latest")
    assert containerd.run(f"{newer.address}/hello/jq:latest", "jq", "-n", "40 + 2") == "42\n"
    assert new_server(salted_packages).digest("hello/jq") == digest


def test_new_names_of_a_revision_are_evaluated_in_a_kept_process(newer: Server) -> None:
    newer.digest("hello")
    before = evaluations(newer)

    newer.digest("camelcase")

    assert evaluations(newer) == before == {"nix.evaluator": 1}


def test_an_unknown_name_gets_the_one_that_was_meant(newer: Server) -> None:
    answer = newer.get("/v2/helo/manifests/latest")

    assert answer.status_code == 404
    assert "hello" in answer.json()["errors"][0]["message"], answer.text


def test_a_failed_build_is_reported_with_its_log(newer: Server) -> None:
    answer = newer.get("/v2/broken-build/manifests/latest")

    assert answer.status_code == 403
    assert "frobnicator 4711 not found" in answer.json()["errors"][0]["message"], answer.text


# ---- errors that Nix cannot catch

# The bytes of two names and of a description are not UTF-8.
UNCATCHABLE = b"""{ system, ... }:
let package = derivation { name = "package"; inherit system; builder = "/bin/sh"; }; in {
  cacert = package; iana-etc = package;
  aborts = abort "no"; calls = ({ a }: a) { }; index = builtins.elemAt [ ] 3; recurs = let x = x; in x;
  aset = { recurseForDerivations = true; inner = package; "inn\xe9r" = package; };
  "odd\xe9" = package; latin = package // { meta.description = "\xe9 is latin-1, \xc3\xa9 is not"; };
  zset = { requests = package; requestc = x: x; requestz = abort "no"; };
  zebra = package; p7zip = package; zip = package; gzip = package; xzip = package; lzip = package;
}"""


@pytest.fixture(scope="module")
def uncatchable(nix: NewerNix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("uncatchable")
    (home / "set.nix").write_bytes(UNCATCHABLE)
    server = Server(home / "server", home / "set.nix", within=nix.within, PATH=nix.path)
    yield server.start()
    server.stop()


@pytest.mark.parametrize("name", ["aborts", "calls", "index", "recurs"])
def test_an_error_that_cannot_be_caught_is_evaluated_once_and_ends_no_evaluator(
    uncatchable: Server, name: str
) -> None:
    assert uncatchable.get(f"/v2/{name}/manifests/latest").status_code == 403
    before = evaluations(uncatchable)

    answer = uncatchable.get(f"/v2/{name}/arm64/manifests/latest")
    again = uncatchable.get(f"/v2/{name}/zebra/manifests/latest")

    assert (answer.status_code, again.status_code) == (403, 403)
    after = evaluations(uncatchable)
    # Another architecture has an evaluator of its own.
    assert after["nix.evaluate"] == before["nix.evaluate"] + 1
    assert after["nix.evaluator"] <= 2


@pytest.mark.parametrize(
    ("unknown", "proposed"),
    [
        ("zebr", "(did you mean zebra?)"),
        ("aset.iner", "(did you mean aset.inner?)"),
        ("zset.requestq", "(did you mean zset.requests?)"),
        ("7zip", "(did you mean p7zip,"),
    ],
)
def test_names_are_listed_behind_errors_that_cannot_be_caught(
    uncatchable: Server, unknown: str, proposed: str
) -> None:
    assert uncatchable.get("/api/search?q=zebra").json()["packages"] == ["zebra"]

    answer = uncatchable.get(f"/v2/{unknown}/manifests/latest")

    assert proposed in answer.json()["errors"][0]["message"]


def test_bytes_that_are_not_utf8_cost_a_set_no_other_name(uncatchable: Server) -> None:
    search = uncatchable.get("/api/search?q=latin").json()["packages"]
    nested = uncatchable.get("/v2/aset.innen/manifests/latest").json()["errors"][0]["message"]
    latin = uncatchable.get("/v2/latin/manifests/latest")

    assert search == ["latin"]
    assert "(did you mean aset.inner?)" in nested
    # The package evaluates; what it lacks is a builder.
    assert "JSON" not in latin.text


# ---- untrusted sources, by the same attacks as in test_reaching.py


@pytest.fixture(scope="module")
def host() -> Iterator[Listener]:
    with listener() as listening:
        yield listening


@pytest.fixture(scope="module")
def strangers(
    nix: NewerNix, host: Listener, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of an untrusted source, with a Nix that is allowed all it can be."""
    home = tmp_path_factory.mktemp("strangers")
    tree, outside = lay_out(home, host.host), home / "outside"
    stored = nix.run("nix-store", "--add", str(outside / "secret")).strip()
    point(tree, outside=outside, host=host.host, stored=stored)
    settings = home / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "strange"\nkind = "path"\nlocation = "{tree}"\n'
        "trusted = false\nbuild_unsandboxed = true\nsubstituters = []\n"
    )
    server = Server(
        home / "server",
        packages,
        within=nix.within,
        PATH=nix.path,
        NIX_CONFIG=permissive(outside, host.host),
        NIXERY_CONFIG=str(settings),
    )
    yield server.start()
    server.stop()


@pytest.mark.parametrize("attack", READING)
def test_what_reads_this_machine_is_refused(strangers: Server, attack: str) -> None:
    answer = strangers.get(f"/v2/strange/{attack}/manifests/latest")

    assert answer.status_code == 403
    message = answer.json()["errors"][0]["message"]
    assert re.match(f"{attack}: .*({READING[attack]})", message), message
    assert SECRET not in answer.text


@pytest.mark.parametrize("attack", CALLING)
def test_expressions_that_call_a_host_are_refused_without_a_connection(
    strangers: Server, host: Listener, attack: str
) -> None:
    before = host.heard

    answer = strangers.get(f"/v2/strange/{attack}/manifests/latest")

    assert answer.status_code == 403
    message = answer.json()["errors"][0]["message"]
    assert re.match(f"{attack}: .*({CALLING[attack]})", message), message
    assert host.heard == before


def test_no_builtin_is_refused_by_mistake_and_none_forgotten(strangers: Server) -> None:
    answer = strangers.get("/v2/strange/refusals/manifests/latest")

    message = answer.json()["errors"][0]["message"]
    refused = set(message.removeprefix("refusals: ").partition(" (see")[0].split())
    assert ALWAYS_REFUSED <= refused <= EVER_REFUSED


def test_what_keeps_to_itself_is_served(strangers: Server) -> None:
    assert strangers.get("/v2/strange/harmless/manifests/latest").status_code == 200


# ---- by the same attacks as in test_forging.py


@pytest.fixture(scope="module")
def place(nix: NewerNix, tmp_path_factory: pytest.TempPathFactory) -> forging.Place:
    return forging.lay_out(
        tmp_path_factory.mktemp("forging"),
        partial(nix.run, NIX_CONFIG=forging.permissive()),
    )


@pytest.fixture(scope="module")
def forged(
    nix: NewerNix, place: forging.Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with forging.server(
        place, tmp_path_factory.mktemp("forged"), within=nix.within, PATH=nix.path
    ) as server:
        yield server


@pytest.mark.parametrize("attack", FORGING)
def test_anothers_files_are_refused(forged: Server, place: forging.Place, attack: str) -> None:
    forging.expect_refusal(forged, place, attack)


def test_anothers_files_are_refused_without_derivations(
    forged: Server, place: forging.Place
) -> None:
    forging.expect_nothing_without_derivations(forged, place)


@pytest.mark.parametrize("attack", CLAIMING)
def test_a_path_that_the_derivation_does_not_make_is_refused(forged: Server, attack: str) -> None:
    forging.expect_no_claim(forged, attack)


@pytest.mark.parametrize("name", HONEST)
def test_packages_that_an_untrusted_set_makes_itself_are_served(forged: Server, name: str) -> None:
    assert forged.get(f"/v2/forger/{name}/manifests/latest").status_code == 200


def evaluations(server: Server) -> dict[str, int]:
    """Processes started for them, by kind."""
    activity = server.get("/debug").json()["activity"]
    return {kind: count for kind, count in activity.items() if kind.startswith("nix.evaluat")}

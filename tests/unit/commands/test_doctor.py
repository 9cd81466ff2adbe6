"""``nixery doctor`` with programs that print what Nix prints, and real binary caches."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.builder.nix.binary_cache.exchange import TransferOptions
from app.builder.nix.binary_cache.signatures import TrustedKeys, fingerprint
from app.builder.nix.closure import StorePath
from app.builder.nix.programs.cache_configuration import CacheConfiguration
from app.builder.nix.substitution.caches import Trust
from app.builder.nix.substitution.client import CacheClient
from app.builder.sources.definition import PathDefinition
from app.commands import cli
from app.commands.cache_health import CacheHealth, caches_of, sample_paths
from app.commands.checkup import changed_by_server, disks
from app.commands.findings import Finding, Outcome
from app.settings.settings import Settings
from tests.recorded_programs import RecordedPrograms
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import (
    CacheServer,
    garbage,
    make_cache,
    serving,
    status,
)

NAR_HASH = "sha256:1mk1hpmvnv6nwqqwvyyl6rcs2avmcr5k1p0zpvnxyx0jhq2iy8b7"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = f"cache-1:{base64.b64encode(KEY.public_key().public_bytes_raw()).decode()}"
HERE = store_path("package")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CacheServer]:
    """A cache that has a path, which ``PUBLIC`` signed."""
    directory = make_cache(tmp_path / "cache", {"package": []})
    signature = base64.b64encode(KEY.sign(fingerprint(HERE, NAR_HASH, 1000, ()))).decode()
    narinfo = directory / f"{HERE.hash_part}.narinfo"
    text = narinfo.read_text().replace("cache-1:AAAA==", f"cache-1:{signature}")
    narinfo.write_text(text.replace("FileHash: sha256:0\n", ""))
    with serving(directory) as server:
        yield server


@pytest.fixture
def client() -> Iterator[CacheClient]:
    client = CacheClient(TransferOptions(stall_seconds=5))
    yield client
    client.close()


async def examine(
    client: CacheClient,
    *urls: str,
    keys: tuple[str, ...] = (PUBLIC,),
    late: timedelta = timedelta(),
    here: StorePath = HERE,
) -> list[Finding]:
    trust = Trust(TrustedKeys(keys), frozenset(key.partition(":")[0] for key in keys))
    health = CacheHealth(client, trust, lambda: datetime.now(UTC) + late, (here,))
    return await health.findings(urls)


async def test_cache_with_a_trusted_key_is_fine(cache: CacheServer, client: CacheClient) -> None:
    found, clock = await examine(client, cache.url)

    assert (found.outcome, clock.outcome) == (Outcome.OK, Outcome.OK)
    assert "signatures are trusted" in found.message
    assert "within 2 minutes" in clock.message


async def test_key_of_a_cache_is_named_if_it_is_not_trusted(
    cache: CacheServer, client: CacheClient
) -> None:
    found, _ = await examine(client, cache.url, keys=())

    assert found.outcome is Outcome.PROBLEM
    assert "cache-1, which is not trusted" in found.message
    assert "trusted-public-keys" in found.advice


async def test_key_is_not_compared_if_the_cache_has_no_path_of_this_machine(
    cache: CacheServer, client: CacheClient
) -> None:
    other = store_path("other")
    found, _ = await examine(client, cache.url, here=other)
    without_keys, _ = await examine(client, cache.url, here=other, keys=())

    assert (found.outcome, without_keys.outcome) == (Outcome.OK, Outcome.PROBLEM)
    assert "not compared" in found.message


@pytest.mark.parametrize("hours", [-3, 3])
async def test_wrong_clock_is_a_warning(
    cache: CacheServer, client: CacheClient, hours: int
) -> None:
    _, clock = await examine(client, cache.url, late=timedelta(hours=hours))

    assert clock.outcome is Outcome.WARNING
    assert f"180 minutes {'ahead of' if hours > 0 else 'behind'}" in clock.message


async def test_cache_that_does_not_work_is_a_problem_without_its_password(
    cache: CacheServer, client: CacheClient, tmp_path: Path
) -> None:
    narinfo = f"{HERE.hash_part}.narinfo"
    secret = cache.url.replace("//", "//joe:hunter2@")
    cache.faults["nix-cache-info"] = [status(500), status(404)]
    cache.faults[narinfo] = [garbage]

    found = await examine(client, *[secret] * 3, f"file://{tmp_path}")

    assert [one.outcome for one in found] == [*[Outcome.PROBLEM] * 3, Outcome.OK, Outcome.OK]
    assert "the server responded with 500" in found[0].message
    assert "nix-cache-info is missing" in found[1].message
    assert "only Nix can open" in found[3].message
    assert not any("hunter2" in one.message for one in found)


async def test_unreachable_cache_is_a_problem_and_the_clock_is_not_compared(
    client: CacheClient,
) -> None:
    found, clock = await examine(client, "http://127.0.0.1:1")

    assert found.outcome is Outcome.PROBLEM
    assert "not compared" in clock.message


def test_caches_are_those_of_the_sources() -> None:
    configuration = CacheConfiguration(
        substituters=("https://a", "https://b"),
        trusted_public_keys=(),
        require_signatures=True,
        netrc_file="",
        certificates="",
        substitute=True,
    )
    own = PathDefinition(name="own", location=Path("/own"), substituters=("https://c", "https://a"))
    other = PathDefinition(name="other", location=Path("/other"))

    assert caches_of([own, other], configuration) == ("https://c", "https://a", "https://b")
    assert caches_of([own], configuration) == ("https://c", "https://a")


def test_sample_has_paths_that_a_cache_may_have(tmp_path: Path) -> None:
    for name in [*(store_path(f"p{n}").base for n in range(60)), f"{'a' * 32}-x.drv", "stray"]:
        (tmp_path / name).mkdir()

    found = sample_paths(str(tmp_path))

    assert 0 < len(found) <= 60
    assert all(not path.base.endswith(".drv") for path in found)
    assert sample_paths(str(tmp_path / "missing")) == ()


def test_full_disk_is_a_problem(tmp_path: Path) -> None:
    store, *others = disks(Settings(state_path=tmp_path / "deep" / "state", store_free=1 << 40))

    assert store.outcome is Outcome.PROBLEM
    assert "NIXERY_STORE_FREE" in store.advice
    assert [one.check for one in others] == ["disk", "disk"]
    assert disks(Settings(state_path=tmp_path, store_free=0))[0].outcome is not Outcome.PROBLEM


def test_files_of_the_server_inside_a_package_set_are_a_problem(tmp_path: Path) -> None:
    outside = Settings(pkgs_path=tmp_path / "set", state_path=tmp_path / "state")
    inside = Settings(pkgs_path=tmp_path, state_path=tmp_path / "state")

    assert list(changed_by_server(outside)) == []
    (found, *_) = changed_by_server(inside)
    assert found.outcome is Outcome.PROBLEM
    assert "NIXERY_STATE_PATH is inside" in found.message


class Machine:
    """A machine whose programs are recorded, and the findings of doctor on it."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs = RecordedPrograms(home)
        monkeypatch.setenv("PATH", str(self.programs.directory))
        monkeypatch.setenv("NIXERY_STATE_PATH", str(home / "state"))
        (home / "set").mkdir()
        (home / "set" / "default.nix").write_text("{ }")
        self.set = home / "set"
        monkeypatch.setenv("NIXERY_PKGS_PATH", str(self.set))

    def nix(
        self,
        version: str = "2.20.1",
        *,
        sandbox: str = "true",
        urls: str = "",
        has_store: bool = True,
    ) -> None:
        """Nix prints the same for each command; each reader finds its part."""
        settings = {"substituters": [urls] if urls else [], "trusted-public-keys": [PUBLIC]}
        document = {name: {"value": value} for name, value in settings.items()}
        text = json.dumps({"version": f"nix (Nix) {version}"} | document)
        script = f'case "$*" in *--json*) echo \'{text}\';; *version*) echo "nix (Nix) {version}";;'
        if not has_store:
            script += " store*) echo 'error: no daemon' >&2; exit 1;;"
        program = self.programs.directory / "nix"
        program.write_text(f"#!/bin/sh\n{script} *) echo 'sandbox = {sandbox}';; esac\n")
        program.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def run(*arguments: str) -> int:
    return cli.run(["doctor", *arguments], serve=lambda: None)


def outcomes(out: str) -> dict[str, str]:
    document = json.loads(out)
    return {check["check"]: check["outcome"] for check in document["checks"]}


@pytest.mark.slow
def test_a_state_directory_that_does_not_work_is_one_problem_among_the_checks(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine.nix()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "file" / "state"))
    monkeypatch.setenv("NIXERY_STORAGE", "memory")

    assert run("--json") == 1

    found = outcomes(capsys.readouterr().out)
    assert [check for check, outcome in found.items() if outcome == "problem"] == ["state"]
    assert {"nix", "storage", "disk", "source"} <= found.keys()


@pytest.mark.slow
def test_machine_without_a_problem_has_status_0(
    machine: Machine, cache: CacheServer, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.nix(urls=cache.url)

    assert run() == 0

    out = capsys.readouterr().out
    assert "ok       nix      nix (Nix) 2.20.1\n" in out
    assert "ok       source   path, the default: can be opened\n" in out
    assert f"ok       cache    {cache.url}: responds" in out
    assert "problem  " not in out


@pytest.mark.slow
def test_machine_whose_nix_cannot_open_its_store_has_a_problem(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.nix(has_store=False)

    assert run() == 1

    assert "problem  nix      Nix cannot open its store: no daemon\n" in capsys.readouterr().out


@pytest.mark.slow
def test_machine_without_nix_has_every_other_check(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json") == 1

    found = outcomes(capsys.readouterr().out)
    assert {name for name, outcome in found.items() if outcome == "problem"} == {
        "nix",
        "sandbox",
        "cache",
    }
    assert {"storage", "state", "disk", "source", "layers"} <= set(found)


def test_settings_that_do_not_work_are_problems(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.nix(sandbox="false")
    blocked = machine.set / "file"
    blocked.write_text("")
    monkeypatch.setenv("NIXERY_STORAGE_PATH", str(blocked / "storage"))
    monkeypatch.setenv("NIXERY_PLAN", str(machine.set / "missing.json"))
    (machine.set / "default.nix").unlink()

    assert run("--json") == 1

    found = outcomes(capsys.readouterr().out)
    assert found["sandbox"] == "warning"
    assert (found["storage"], found["source"], found["layers"]) == ("problem",) * 3


@pytest.mark.slow
def test_untrusted_source_without_a_sandbox_is_a_problem(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine.nix("2.8.0", sandbox="relaxed")
    file = tmp_path / "nixery.toml"
    file.write_text(
        '[[sources]]\nname = "a"\nkind = "git"\nlocation = "/missing"\ntrusted = false\n'
        '[[sources]]\nname = "b"\nkind = "channel"\nlocation = "http://127.0.0.1:1"\n'
    )
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    assert run("--json") == 1

    checks = json.loads(capsys.readouterr().out)["checks"]
    found = {f"{check['check']} {check['outcome']}": check["message"] for check in checks}
    assert "source a is untrusted" in found["sandbox problem"]
    assert "too old for current nixpkgs of source b" in found["nix warning"]
    assert "git" in found["git problem"]


def test_invalid_settings_are_the_only_findings(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIXERY_PORT", "many")
    monkeypatch.setenv("NIXERY_CODEC", "none")

    assert run() == 1

    out = capsys.readouterr().out
    assert "problem  settings NIXERY_PORT: " in out
    assert "problem  settings NIXERY_CODEC: " in out
    assert "see docs/configuration.md" in out

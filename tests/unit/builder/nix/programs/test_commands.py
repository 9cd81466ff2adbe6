"""The exact commands and environments that Nix is started with."""

import platform
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.door import Allowed, Evaluation, Flake, PackageSet
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.roots import TemporaryRootsDirectory
from app.errors import EvaluationFailed
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms

SET = "/srv/set"
SYSTEM = f"{platform.machine()}-linux"
EXPRESSIONS = Path("/srv/nix")
POLICY = '{"unfree": true, "insecure": false, "broken": ["old"]}'
FEATURES = ("--extra-experimental-features", "nix-command flakes")
NO_BUILDS = ("--option", "allow-import-from-derivation", "false")
FETCHING = (
    *("--option", "connect-timeout", "8"),
    *("--option", "stalled-download-timeout", "12"),
    *("--option", "download-attempts", "3"),
)
# Limits of builds, which those of an evaluation must replace.
OPTIONS = {"cores": "3", "connect-timeout": "15", "stalled-download-timeout": "15"}
SETTINGS = tuple(word for pair in OPTIONS.items() for word in ("--option", *pair))
INSTANTIATE = ("nix-instantiate", "--eval", "--strict", "--read-write-mode", "--json")
RESTRICTION = (
    *NO_BUILDS,
    *("--option", "restrict-eval", "true"),
    *("--option", "allowed-uris", ""),
    *("--option", "experimental-features", "nix-command"),
    *("--option", "allow-unsafe-native-code-during-evaluation", "false"),
    *("--option", "substitute", "false"),
)
TOKENS = "access-tokens = github.com=hunter2"
EVALUATION = Evaluation(
    source="team",
    package_set=PackageSet("path", SET),
    system=SYSTEM,
    allowed=Allowed(unfree=True, insecure=False, broken=("old",)),
    restricted=False,
    seconds=100,
    memory=1024 * 1024 * 1024,
)
UNTRUSTED = replace(EVALUATION, restricted=True)


@pytest.fixture
def programs(tmp_path: Path) -> RecordedPrograms:
    programs = RecordedPrograms(tmp_path)
    programs.add("nix-instantiate", stdout="[]")
    return programs


@pytest.fixture
def environment(programs: RecordedPrograms, tmp_path: Path) -> dict[str, str]:
    surroundings = {
        "PATH": str(programs.directory),
        "NIX_CONFIG": f"cores = 1\n{TOKENS}",
        "https_proxy": "http://joe:hunter2@proxy",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
    }
    return child_environment(surroundings, home=tmp_path / "home")


@pytest.fixture
async def nix(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[NixCommand]:
    workers = Workers(2)
    nix = NixCommand(
        configuration=NixConfiguration(
            environment=environment, directory=tmp_path / "configuration", workers=workers
        ),
        expressions=EXPRESSIONS,
        roots=TemporaryRootsDirectory(directory=tmp_path / "roots", workers=workers),
        workers=workers,
        options=OPTIONS,
    )
    yield nix
    await nix.close()


async def test_a_trusted_set_is_evaluated_without_builds_and_search_path(
    nix: NixCommand, programs: RecordedPrograms, environment: dict[str, str]
) -> None:
    await nix.evaluate(EVALUATION, [], explain=True)

    start = programs.start
    request = start.command[8]
    assert start.command == (
        *INSTANTIATE,
        "/srv/nix/evaluate.nix",
        *("--argstr", "request", request),
        *SETTINGS,
        *FEATURES,
        *NO_BUILDS,
        *FETCHING,
        *("--option", "nix-path", ""),
    )
    assert start.request == {
        "set": {
            "kind": "path",
            "reference": SET,
            "is_file": False,
            "wrapped": False,
            "roots": [SET],
            "search_path": [],
        },
        "system": SYSTEM,
        "restricted": False,
        "config": {"unfree": True, "insecure": False, "broken": ["old"]},
        "read_only": False,
        "names": [],
        "explain": True,
    }
    assert start.environment == {
        **{name: value for name, value in environment.items() if name != "NIX_CONFIG"},
        "XDG_CONFIG_HOME": start.environment["XDG_CONFIG_HOME"],
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "12",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=8"
        " -o ServerAliveInterval=12 -o ServerAliveCountMax=1",
        "NIXPKGS_CONFIG": "/srv/nix/nixpkgs-config.nix",
        "NIXERY_POLICY": POLICY,
    }
    # The tokens of the operator, since a trusted set may fetch.
    assert start.configuration == ("cores = 1", TOKENS)
    assert "AWS_SECRET_ACCESS_KEY" not in start.environment


async def test_an_untrusted_set_is_evaluated_in_restricted_mode(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    await nix.evaluate(UNTRUSTED, [])

    start = programs.start
    assert start.command == (
        *INSTANTIATE,
        "/srv/nix/evaluate.nix",
        *("--argstr", "request", start.command[8]),
        *SETTINGS,
        *RESTRICTION,
        *("-I", "r0=/srv/nix", "-I", f"r1={SET}"),
        *FETCHING,
        *("--option", "nix-path", ""),
    )
    assert start.request["restricted"] is True


async def test_a_read_only_evaluation_writes_no_derivations_and_confirms_paths(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    await nix.evaluate(replace(UNTRUSTED, read_only=True), [])

    assert programs.start.command[:5] == (
        *("nix-instantiate", "--eval", "--strict", "--readonly-mode", "--json"),
    )
    assert programs.start.request["read_only"] is True


async def test_an_untrusted_set_has_no_credentials_and_no_proxy(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    await nix.evaluate(UNTRUSTED, [])
    await nix.scan(UNTRUSTED)

    for start in programs.starts:
        assert "hunter2" not in str(start.environment)
        assert "https_proxy" not in start.environment
        assert start.configuration == ("cores = 1",)


async def test_a_search_path_is_given_by_name_and_readable_to_an_untrusted_set(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    package_set = PackageSet(
        "path", SET, readable=("/srv",), search_path=(("nixpkgs", "/srv/nixpkgs"),)
    )
    for evaluation in (EVALUATION, UNTRUSTED):
        await nix.evaluate(replace(evaluation, package_set=package_set), [])

    trusted, untrusted = programs.starts
    names = ("--option", "nix-path", "", "-I", "nixpkgs=/srv/nixpkgs")
    assert trusted.command[9:] == (*SETTINGS, *FEATURES, *NO_BUILDS, *FETCHING, *names)
    readable = ("/srv/nix", "/srv", SET, "/srv/nixpkgs")
    allowed = tuple(word for n, path in enumerate(readable) for word in ("-I", f"r{n}={path}"))
    assert untrusted.command[9:] == (*SETTINGS, *RESTRICTION, *allowed, *FETCHING, *names)


async def test_the_system_is_given_where_it_is_not_that_of_the_machine(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    await nix.evaluate(replace(EVALUATION, system="riscv64-linux"), [])

    assert programs.start.option("system") == "riscv64-linux"
    assert programs.start.request["system"] == "riscv64-linux"


async def test_a_process_that_stays_has_the_same_options(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    programs.add("nix", code=1)

    await nix.evaluate(replace(EVALUATION, revision="1"), [])

    repl, alone = programs.starts
    assert repl.command == (
        *("nix", "repl", "-I", "nixery=/srv/nix", *SETTINGS),
        *FEATURES,
        *NO_BUILDS,
        *FETCHING,
        *("--option", "nix-path", ""),
    )
    assert repl.environment == alone.environment


async def test_a_silent_host_is_given_up_within_a_short_evaluation(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    await nix.evaluate(replace(EVALUATION, seconds=10), [])

    start = programs.start
    assert start.option("connect-timeout") == "1"
    assert start.option("stalled-download-timeout") == "1"
    assert start.environment["GIT_HTTP_LOW_SPEED_TIME"] == "1"


async def test_an_untrusted_set_has_no_process_that_stays(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    programs.add("nix", code=1)

    await nix.evaluate(replace(UNTRUSTED, revision="1"), [])
    await nix.scan(replace(UNTRUSTED, revision="1"))

    assert [start.command[0] for start in programs.starts] == ["nix-instantiate"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", [EVALUATION, UNTRUSTED])
async def test_names_are_listed_with_the_options_of_an_evaluation(
    nix: NixCommand, programs: RecordedPrograms, evaluation: Evaluation
) -> None:
    await nix.evaluate(evaluation, [])
    await nix.scan(evaluation, start=3)
    await nix.names_within(evaluation, "python3Packages")

    evaluated, looked, within = programs.starts
    for start in (looked, within):
        assert start.command[5] == "/srv/nix/list-attributes.nix"
        assert start.command[:5] + start.command[9:] == INSTANTIATE + evaluated.command[9:]
        assert start.environment == evaluated.environment
    assert (looked.request["start"], looked.request["within"]) == (3, None)
    assert (within.request["start"], within.request["within"]) == (0, "python3Packages")


@pytest.mark.slow
async def test_a_flake_is_added_read_and_locked(
    nix: NixCommand, programs: RecordedPrograms, tmp_path: Path
) -> None:
    """The program that would print the name of the flake's store path prints a path here."""
    stored = tmp_path / "stored"
    stored.mkdir()
    programs.add("nix-store", stdout=f"{stored}\n")
    programs.add("nix")
    utils = '[{"name": "utils", "place": "main"}]'
    inputs = f'"complete": false, "unpinned": ["utils"], "places": [], "branches": {utils}'
    programs.add("nix-instantiate", stdout=f'{{{inputs}, "dated": true}}')
    flake = Flake(directory="", commit="0" * 40, date=1714521600)
    evaluation = replace(EVALUATION, package_set=PackageSet("flake", SET, flake=flake))

    with pytest.raises(EvaluationFailed, match="unexpected output"):
        await nix.evaluate(evaluation, [])

    added, read, locked, outer, evaluated = programs.starts
    assert added.command == ("nix-store", "--add", SET, *SETTINGS, *FETCHING)
    assert read.command[5] == "/srv/nix/flake-inputs.nix"
    assert read.request["flake"] == str(stored)
    assert locked.command == (
        *("nix", "flake", "lock", locked.command[3], *FEATURES, *NO_BUILDS),
        *SETTINGS,
        *FETCHING,
    )
    assert outer.command[:2] == ("nix-store", "--add")
    assert evaluated.request["set"]["reference"] == f"path:{stored}"  # type: ignore[index]


async def test_a_closure_is_queried_with_the_settings(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    paths = [StorePath.parse(f"{letter * 32}-package") for letter in "ba"]
    digits = "A" * 43
    rest = f'"narSize": 1, "references": [], "narHash": "sha256-{digits}="'
    sizes = ", ".join(f'{{"path": "{path}", {rest}}}' for path in paths)
    programs.add("nix", stdout=f"[{sizes}]")

    await nix.closure(paths)

    assert programs.start.command == (
        *("nix", "path-info", "--json", "--recursive", str(paths[1]), str(paths[0])),
        *FEATURES,
        *SETTINGS,
    )
    assert programs.start.configuration == ("cores = 1",)


async def test_the_version_and_the_sandbox_are_queried(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    programs.add("nix", stdout="sandbox = true\nnix (Nix) 2.34.1")

    assert await nix.version() == "sandbox = true\nnix (Nix) 2.34.1"
    assert await nix.sandboxed()

    version, shown = programs.starts
    assert version.command == ("nix", "--version")
    assert shown.command == ("nix", "config", "show", *FEATURES)

"""The exact commands and environments that builds and downloads are started with."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs import realising
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.realising import Realiser, Wanted
from app.builder.nix.programs.store_size import StoreSize
from app.builder.nix.roots import TemporaryRoots
from app.errors import DownloadFailed, StoreUnavailable, Unavailable
from app.system.blocking import blocking
from app.system.disk_space import DiskSpace
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms, Start

A, B = "/nix/store/" + "a" * 32 + "-one", "/nix/store/" + "b" * 32 + "-two"
WANTED = (Wanted(f"{A}.drv", "bin", A), Wanted(f"{B}.drv", "out", B))
SETTINGS = ("--option", "cores", "3", "--option", "max-jobs", "5")
LOG = ("--log-format", "internal-json")
DOWNLOADING = RealiseOptions(source="team", seconds=100, build=True, substituters=None)
BUILDING = replace(DOWNLOADING, substituters=())
NO_CACHES = ("--option", "substitute", "false")
NO_BUILDERS = (
    *("--option", "max-jobs", "0"),
    *("--option", "builders", ""),
    *("--option", "fallback", "false"),
)


@pytest.fixture
def programs(tmp_path: Path) -> RecordedPrograms:
    programs = RecordedPrograms(tmp_path)
    programs.add("nix-store")
    return programs


def environment_of(
    programs: RecordedPrograms, home: Path, variables: Mapping[str, str]
) -> Mapping[str, str]:
    surroundings = {
        "PATH": str(programs.directory),
        "NIX_CONFIG": "access-tokens = github.com=hunter2",
        "https_proxy": "http://proxy",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        **variables,
    }
    return child_environment(surroundings, home=home)


async def realise(
    programs: RecordedPrograms,
    home: Path,
    options: RealiseOptions,
    *,
    most: int = 0,
    least: int = 0,
    **variables: str,
) -> Start:
    """Return how Nix was started first."""
    workers = Workers(1)
    configuration = NixConfiguration(
        environment=environment_of(programs, home, variables),
        directory=home / "configuration",
        workers=workers,
    )
    running = Programs(configuration=configuration, store_seconds=60)
    realiser = Realiser(
        programs=running,
        configuration=configuration,
        workers=workers,
        options=SETTINGS,
        space=DiskSpace(directory=home, least=least, workers=workers),
        size=StoreSize(programs=running, workers=workers, options=SETTINGS, most=most),
    )
    await realiser.attempt(
        WANTED,
        options,
        end=time.monotonic() + 100,
        roots=TemporaryRoots(home),
        on_line=lambda _: None,
    )
    await configuration.close()
    return programs.starts[0]


async def test_derivations_are_built_with_a_root_and_the_settings(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    start = await realise(programs, tmp_path, BUILDING)

    assert start.command == (
        *("nix-store", "--realise", f"{A}.drv!bin", f"{B}.drv!out"),
        *("--add-root", f"{tmp_path}/root1", *LOG, *SETTINGS, *NO_CACHES),
    )


@pytest.mark.parametrize(
    ("limits", "starts"),
    [
        ({}, ["--realise"]),
        ({"least": 1 << 62}, ["--check-validity", "--realise"]),
        ({"most": 1 << 62}, ["--check-validity", "--realise"]),
    ],
)
async def test_nix_is_asked_for_valid_outputs_only_where_a_limit_may_refuse_them(
    programs: RecordedPrograms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    starts: list[str],
) -> None:
    monkeypatch.setattr(realising, "absent", blocking(lambda _: []))

    await realise(programs, tmp_path, BUILDING, **limits)  # type: ignore[arg-type]  # one of two

    assert [start.command[1] for start in programs.starts] == starts


async def test_binary_caches_come_before_builds(programs: RecordedPrograms, tmp_path: Path) -> None:
    programs.add("nix-store", code=1)

    with pytest.raises(StoreUnavailable):
        await realise(programs, tmp_path, DOWNLOADING)

    downloads, builds = programs.starts
    targets = ("nix-store", "--realise", f"{A}.drv!bin", f"{B}.drv!out", "--add-root")
    assert downloads.command == (*targets, f"{tmp_path}/root1", *LOG, *SETTINGS, *NO_BUILDERS)
    assert builds.command == (*targets, f"{tmp_path}/root2", *LOG, *SETTINGS)


@pytest.mark.parametrize(
    ("warning", "reason"),
    [
        # As Nix 2.8, 2.26 and 2.34 print them.
        (
            "unable to download 'http://cache/nix-cache-info': Couldn't connect to server (7)",
            "Couldn't connect to server (7)",
        ),
        (
            "unable to \x1b[35;1mdownload\x1b[0m '\x1b[35;1mhttp://cache/nix-cache-info\x1b[0m': HTTP error 401",
            "HTTP error 401",
        ),
        (
            "'\x1b[35;1mhttp://cache\x1b[0m' does not appear to be a binary cache",
            "it does not appear to be a binary cache",
        ),
    ],
)
async def test_a_cache_that_failed_is_not_replaced_by_builds(
    programs: RecordedPrograms, tmp_path: Path, warning: str, reason: str
) -> None:
    event = json.dumps({"action": "msg", "level": 1, "msg": f"\x1b[35;1mwarning:\x1b[0m {warning}"})
    programs.add("nix-store", stderr=f"@nix {event}\n", code=1)

    with pytest.raises(DownloadFailed) as failure:
        await realise(programs, tmp_path, DOWNLOADING)

    assert failure.value.message == f"http://cache failed to send {A}: {reason}"
    assert len(programs.starts) == 1


async def test_a_cache_that_failed_does_no_harm_where_another_has_everything(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    message = "warning: unable to download 'http://cache/nix-cache-info': HTTP error 500"
    event = json.dumps({"action": "msg", "level": 1, "msg": message})
    programs.add("nix-store", stderr=f"@nix {event}\n")

    await realise(programs, tmp_path, DOWNLOADING)

    assert len(programs.starts) == 1


async def test_a_source_that_may_not_build_gets_paths_and_no_builder_at_all(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    start = await realise(programs, tmp_path, replace(DOWNLOADING, build=False, sandboxed=True))

    assert start.command == (
        *("nix-store", "--realise", A, B, "--add-root", f"{tmp_path}/root1", *LOG, *SETTINGS),
        *NO_BUILDERS,
    )
    assert start.option("max-jobs") == "0"


async def test_the_builds_of_an_untrusted_source_require_the_sandbox(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    start = await realise(programs, tmp_path, replace(BUILDING, sandboxed=True))

    assert start.command[-6:] == (
        *("--option", "sandbox", "true"),
        *("--option", "sandbox-fallback", "false"),
    )


@pytest.mark.parametrize(
    ("options", "netrc"),
    [
        (BUILDING, None),
        (replace(BUILDING, trusted=False), "/dev/null"),
        (replace(BUILDING, trusted=False, build=False), None),
    ],
)
async def test_builds_of_an_untrusted_source_have_no_netrc_file(
    programs: RecordedPrograms, tmp_path: Path, options: RealiseOptions, netrc: str | None
) -> None:
    start = await realise(programs, tmp_path, options)

    assert start.option("netrc-file") == netrc


@pytest.mark.parametrize(
    ("substituters", "options", "configuration"),
    [
        (None, (), ()),
        ((), ("--option", "substitute", "false"), ()),
        (
            ("https://a", "https://joe:hunter2@b"),
            ("--option", "substitute", "true"),
            ("substituters = https://a https://joe:hunter2@b",),
        ),
    ],
)
async def test_a_source_may_have_its_own_binary_caches(
    programs: RecordedPrograms,
    tmp_path: Path,
    substituters: tuple[str, ...] | None,
    options: tuple[str, ...],
    configuration: tuple[str, ...],
) -> None:
    chosen = replace(BUILDING, build=False, substituters=substituters)
    start = await realise(programs, tmp_path, chosen)

    after = start.command.index("max-jobs") + 2
    assert start.command[after:] == (*options, *NO_BUILDERS)
    assert start.configuration == configuration


async def test_builds_have_the_proxy_and_no_credentials_of_the_server(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    start = await realise(programs, tmp_path, BUILDING)

    assert start.environment == {
        "PATH": str(programs.directory),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "XDG_CACHE_HOME": str(tmp_path / ".cache"),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "https_proxy": "http://proxy",
    }
    assert start.configuration == ()


async def test_the_caches_of_a_source_replace_those_of_the_server(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    start = await realise(
        programs,
        tmp_path,
        replace(BUILDING, substituters=("https://team",)),
        NIX_CONFIG="substituters = https://joe:hunter2@cache\naccess-tokens = github.com=x",
    )

    assert start.configuration == (
        "substituters = https://joe:hunter2@cache",
        "substituters = https://team",
    )
    assert "hunter2" not in str(start.environment)


@pytest.mark.parametrize(
    ("realisation", "seen"),
    [
        (replace(BUILDING, trusted=False), False),
        (replace(BUILDING, trusted=False, build=False), True),
        (BUILDING, True),
    ],
    ids=["untrusted", "downloads", "trusted"],
)
async def test_builders_of_an_untrusted_source_see_no_password_of_a_proxy(
    programs: RecordedPrograms, tmp_path: Path, realisation: RealiseOptions, *, seen: bool
) -> None:
    start = await realise(
        programs,
        tmp_path,
        realisation,
        https_proxy="http://joe:hunter2@proxy",
        http_proxy="http://proxy",
    )

    assert ("https_proxy" in start.environment) is seen
    assert start.environment["http_proxy"] == "http://proxy"


async def test_the_keys_of_an_ignored_signature_are_queried_from_its_cache(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    message = (
        f"warning: ignoring substitute for '{A}' from 'https://cache', as it's not signed by any"
        " of the keys in 'trusted-public-keys'"
    )
    event = json.dumps({"action": "msg", "level": 1, "msg": message})
    programs.add("nix-store", stderr=f"@nix {event}\n")
    programs.add("nix", stdout=json.dumps([{"path": A, "signatures": ["team-1:x"]}]))

    await realise(programs, tmp_path, DOWNLOADING)

    _, queried = programs.starts
    assert queried.command == (
        *("nix", "path-info", "--json", "--store", "https://cache", A),
        *("--extra-experimental-features", "nix-command flakes", *SETTINGS),
    )


async def test_nothing_is_realised_into_a_store_above_its_size(
    programs: RecordedPrograms, tmp_path: Path
) -> None:
    programs.add("nix", stdout=f"{A}.drv  \t 5242880\n")

    with pytest.raises(Unavailable, match=r"5 MiB, and may have 4 \(NIXERY_STORE_SIZE\).*garbage"):
        await realise(programs, tmp_path, BUILDING, most=4 * 1024 * 1024)

    assert programs.start.command == (
        *("nix", "path-info", "--all", "--size"),
        *("--extra-experimental-features", "nix-command flakes", *SETTINGS),
    )

"""Queries about Nix itself: its version, its sandbox, its binary caches; limits of all queries."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.builder.nix.programs.cache_configuration import (
    CacheConfiguration,
    cache_configuration,
    parse_configuration,
)
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.installation import check_store, sandboxed, version
from app.builder.nix.programs.programs import Programs, unavailable
from app.errors import StoreUnavailable, Unavailable
from app.system.process import (
    Finished,
    Limits,
    OutOfSpace,
    OutOfTime,
    ProgramMissing,
)
from tests.unit.builder.nix.programs.evaluations import finished

SHOWN: Mapping[str, object] = {
    "substituters": {"value": ["https://a", "https://b"]},
    "trusted-public-keys": {"value": ["a-1:x"]},
    "require-sigs": {"value": False},
    "netrc-file": {"value": "/etc/netrc"},
    "ssl-cert-file": {"value": None},
    "substitute": {"value": True},
}


class Scripted(Programs):
    """Ends like ``ends``, by the words of the command after the first."""

    def __init__(self, **ends: Finished) -> None:
        self.ends = ends

    async def query(
        self,
        purpose: str,
        command: object,
        *,
        seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        assert isinstance(command, list)
        assert purpose
        assert seconds is None
        assert not environment
        words = [word.strip("-").replace("-", "_") for word in command[1:3]]
        return self.ends.get("_".join(words)) or self.ends[words[0]]


class Failing(Programs):
    """Programs that cannot be run: each raises ``error``."""

    def __init__(self, configuration: NixConfiguration, error: Exception) -> None:
        super().__init__(configuration=configuration, store_seconds=60)
        self.error = error

    async def run(self, *_: object, **__: object) -> Finished:
        raise self.error


@pytest.mark.parametrize("printed", ["nix (Nix) 2.8.0", "nix (Nix) 2.34.1", "nix (Nix) 3.0"])
async def test_supported_version_is_returned(printed: str) -> None:
    assert await version(Scripted(version=finished(f"{printed}\n"))) == printed


@pytest.mark.parametrize(
    ("printed", "named"), [("nix (Nix) 2.7.9", "nix (Nix) 2.7.9"), ("", "none"), ("x", "x")]
)
async def test_older_version_is_refused(printed: str, named: str) -> None:
    with pytest.raises(Unavailable) as raised:
        await version(Scripted(version=finished(printed)))

    assert raised.value.message == f"Nix 2.8 or later is needed, and this is {named}"


@pytest.mark.parametrize(
    ("printed", "is_sandboxed"), [("true", True), ("relaxed", False), ("false", False)]
)
async def test_sandbox_is_that_of_the_configuration(printed: str, *, is_sandboxed: bool) -> None:
    shown = finished(f"cores = 1\nsandbox = {printed}\n")

    assert await sandboxed(Scripted(config=shown), {}) is is_sandboxed
    older = Scripted(config=finished(code=1), show_config=shown)
    assert await sandboxed(older, {}) is is_sandboxed


async def test_configuration_without_a_sandbox_has_none() -> None:
    assert not await sandboxed(Scripted(config=finished(), show_config=finished()), {})


async def test_a_store_of_old_and_of_new_nix_is_opened() -> None:
    unknown = finished(stderr="error: 'ping' is not a recognised command", code=1)

    await check_store(Scripted(store_ping=finished()), ())
    await check_store(Scripted(store_ping=unknown, store_info=finished()), ())


async def test_a_store_that_cannot_be_opened_is_unavailable_with_the_reason_of_nix() -> None:
    refused = finished(stderr="error: cannot connect to socket at '/s': Permission denied", code=1)

    with pytest.raises(StoreUnavailable) as raised:
        await check_store(Scripted(store=refused), ())

    reason = "Nix cannot open its store: cannot connect to socket at '/s': Permission denied"
    assert raised.value.message == reason


async def test_caches_are_those_of_the_configuration() -> None:
    shown = finished(json.dumps(SHOWN))
    wanted = CacheConfiguration(
        substituters=("https://a", "https://b"),
        trusted_public_keys=("a-1:x",),
        require_signatures=False,
        netrc_file="/etc/netrc",
        certificates="",
        substitute=True,
    )

    assert await cache_configuration(Scripted(config=shown), ()) == wanted
    older = Scripted(config=finished(code=1), show_config=shown)
    assert await cache_configuration(older, ()) == wanted


def test_missing_settings_have_the_defaults_of_nix() -> None:
    configuration = parse_configuration({"substituters": "x", "substitute": 1})

    assert configuration.substituters == ()
    assert configuration.require_signatures
    assert configuration.substitute


@pytest.mark.parametrize("printed", ["", "[]", "{"])
async def test_other_output_is_not_a_configuration(printed: str) -> None:
    with pytest.raises(StoreUnavailable, match="Nix cannot show its configuration: "):
        await cache_configuration(Scripted(config=finished(printed)), ())


async def test_configuration_that_no_command_shows_is_an_error() -> None:
    failed = finished(code=1)

    with pytest.raises(StoreUnavailable, match=r"Nix cannot show its configuration$"):
        await cache_configuration(Scripted(config=failed, show_config=failed), ())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OutOfTime("60 s", b""), r"took longer than 60 s for a query to its store \(closure\)"),
        (OutOfSpace("64 MiB", b""), "printed more than 64 MiB for a query to its store"),
    ],
)
async def test_query_beyond_a_limit_is_transient(error: Exception, message: str) -> None:
    configuration = NixConfiguration.__new__(NixConfiguration)

    with pytest.raises(StoreUnavailable, match=message):
        await Failing(configuration, error).query("closure", ["nix"])


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("missing/nix", "Nix is not installed .*apt-get install nix-bin"),
        ("not-executable/nix", "the server cannot start .*/nix: Permission denied"),
    ],
)
async def test_a_nix_that_does_not_start_is_reported_with_its_cause(
    tmp_path: Path, program: str, message: str
) -> None:
    (tmp_path / "not-executable").mkdir()
    (tmp_path / "not-executable" / "nix").touch(mode=0o644)
    programs = Programs(configuration=NixConfiguration.__new__(NixConfiguration), store_seconds=60)

    with pytest.raises(Unavailable, match=message):
        await programs.run("version", [str(tmp_path / program)], Limits(seconds=10), environment={})


def test_another_missing_program_is_not_reported_as_nix() -> None:
    assert unavailable(ProgramMissing("/bin/sh")).message == (
        "Nix cannot be started: /bin/sh is not on the PATH"
    )

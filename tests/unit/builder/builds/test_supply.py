"""Certificates, service names and the shell, from the source or from its base."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.builder.nix.door import InputUnreachable
from app.errors import BuildFailed, EvaluationFailed, ImageUnknown, RegistryError, SourceUnavailable
from app.request import SHELL
from tests.fakes.package_set import Aborts, Attribute, Endless, package
from tests.unit.builder.assembled import ALWAYS, Assembled
from tests.unit.builder.conftest import Open

TOOL: Mapping[str, Attribute] = {"tool": package("tool-1", {"bin/tool": "#!/bin/sh\n"})}
SHELLS: Mapping[str, Attribute] = {name: package(f"{name}-1") for name in SHELL}


async def opened(
    opener: Open, team: Mapping[str, Attribute], definition: Mapping[str, Any] | None = None
) -> Assembled:
    """Open a supplier; ``team`` are the packages of the source of that name."""
    servers = opener({**SHELLS, "hello": package("hello-1")})
    servers.nix.sources = {"team": team}
    return await servers.open(team=definition)


async def failure(server: Assembled, name: str) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        await server.build(name)
    return raised.value


def references(server: Assembled) -> set[str]:
    return {path.name for path in server.nix.store_directory.iterdir() if path.suffix != ".drv"}


@pytest.mark.slow
async def test_a_source_without_certificates_has_those_of_its_base(opener: Open) -> None:
    server = await opened(opener, TOOL)

    image = await server.build("team/tool")

    assert image.warnings == ()
    assert {name.split("-", 1)[1] for name in references(server)} == {
        "cacert-1",
        "iana-etc-1",
        "tool-1",
    }
    assert await server.build("team/tool") == image


@pytest.mark.slow
async def test_a_source_with_everything_does_not_need_its_base(opener: Open) -> None:
    server = await opened(opener, {**ALWAYS, **TOOL})
    server.tags["set"].error = SourceUnavailable("the base cannot be reached")

    assert (await server.build("team/tool")).warnings == ()


@pytest.mark.slow
async def test_a_source_without_base_has_an_image_with_a_warning(opener: Open) -> None:
    server = await opened(opener, TOOL, {"base": ""})

    assert (await server.build("team/tool")).warnings == (
        (
            "the image has no CA certificates (cacert) and no names of services (iana-etc):"
            " source team has none and has no base"
        ),
    )


async def test_a_base_without_certificates_is_named_in_the_warning(opener: Open) -> None:
    server = await opened(opener, TOOL)
    server.nix.packages = {"hello": package("hello-1")}

    assert (
        (await server.build("team/tool"))
        .warnings[0]
        .endswith("source team has none and neither has its base set")
    )


@pytest.mark.slow
async def test_a_base_that_was_chosen_is_preferred_to_the_source(opener: Open) -> None:
    server = await opened(opener, {**ALWAYS, **TOOL}, {"base": "set"})

    await server.build("team/tool")

    assert server.tags["set"].requests == 1


@pytest.mark.slow
async def test_the_shell_comes_from_the_base_or_the_image_is_unknown(opener: Open) -> None:
    server = await opened(opener, TOOL)
    await server.build("team/shell/tool")

    server = await server.opener.open(team={"base": ""})
    error = await failure(server, "team/shell/tool")

    assert isinstance(error, ImageUnknown)
    assert error.message.startswith("source team has no shell: bashInteractive, coreutils")


async def test_a_base_without_a_shell_is_named(opener: Open) -> None:
    server = await opened(opener, TOOL)
    server.nix.packages = dict(ALWAYS)

    error = await failure(server, "team/shell/tool")

    assert "source team has no shell, nor has its base set: " in error.message


async def test_a_base_that_cannot_be_reached_is_named(opener: Open) -> None:
    server = await opened(opener, TOOL)
    server.tags["set"].error = SourceUnavailable("it cannot be reached")

    error = await failure(server, "team/tool")

    assert isinstance(error, SourceUnavailable)
    assert error.message == "it cannot be reached (set is the base of source team)"


@pytest.mark.slow
async def test_a_base_that_does_not_evaluate_is_named(opener: Open) -> None:
    server = await opened(opener, TOOL)
    server.nix.packages = {"cacert": Aborts("out of order"), "iana-etc": ALWAYS["iana-etc"]}
    await server.build("team/tool")

    server.nix.packages = dict(ALWAYS)
    server.tags["set"].revisions["latest"] = "2"
    server.clock.now += 10_000
    server.nix.fail_next("evaluate", *[InputUnreachable("the input cannot be reached")] * 3)
    error = await failure(server, "team/tool")

    assert isinstance(error, SourceUnavailable)
    assert error.message.endswith("(set is the base of source team)")


@pytest.mark.slow
async def test_a_base_that_moved_does_not_have_the_failure_of_its_old_revision(
    opener: Open,
) -> None:
    server = await opened(opener, TOOL)
    server.nix.packages = {**ALWAYS, "cacert": package("cacert-broken", fails=True)}
    first = await failure(server, "team/tool")
    assert isinstance(first, BuildFailed)
    assert (await failure(server, "team/tool")).page == first.page

    server.nix.packages = dict(ALWAYS)
    server.tags["set"].revisions["latest"] = "2"
    server.clock.now += 10_000

    assert (await server.build("team/tool")).warnings == ()
    assert server.nix.starts["realise"] == 3  # of both sources, after one that failed


@pytest.mark.slow
async def test_a_built_image_needs_its_base_again_only_when_the_base_may_have_moved(
    opener: Open,
) -> None:
    server = await opened(opener, TOOL)
    await server.build("team/tool")
    started = server.images.jobs.counts.started

    await server.build("team/tool")
    assert server.images.jobs.counts.started == started
    server.clock.now += 10_000
    server.tags["set"].revisions["latest"] = "2"
    await server.build("team/tool")

    assert server.tags["set"].requests == 2
    assert server.images.jobs.counts.started == started + 1


@pytest.mark.slow
async def test_a_refused_package_of_every_image_counts_as_absent(opener: Open) -> None:
    server = await opened(opener, {**ALWAYS, **TOOL, "cacert": package("cacert-2", broken=True)})

    assert (await server.build("team/tool")).warnings == ()
    assert any(name.endswith("cacert-1") for name in references(server))


async def test_an_uncertain_failure_of_a_package_of_every_image_ends_the_build(
    opener: Open,
) -> None:
    server = await opened(
        opener, {**ALWAYS, **TOOL, "cacert": Endless()}, {"evaluation_seconds": 0.05}
    )

    error = await failure(server, "team/tool")

    assert isinstance(error, EvaluationFailed)
    assert "does not evaluate cacert, which the server adds to the image" in error.message


@pytest.mark.slow
async def test_inputs_that_a_flake_does_not_pin_are_a_warning(opener: Open) -> None:
    server = await opened(opener, TOOL)
    server.nix.unpinned_inputs = ("nixpkgs", "utils")

    assert (await server.build("flake/hello")).warnings == (
        "flake.lock of source flake does not pin nixpkgs, utils: a later pull may differ",
    )

"""One image: what it reuses, what it waits for, and its warnings."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.builder.builds.composer import Composer, Composition
from app.errors import PackingTimedOut, RegistryError, StoreUnreadable
from app.oci import MediaType
from tests.fakes.package_set import package
from tests.unit.builder.assembled import Opener
from tests.unit.builder.conftest import Open

HELLO = package("hello-1", {"bin/hello": "#!/bin/sh\n", "share/text": "hello\n"})
OTHER = package("other-1", {"bin/hello": "#!/bin/sh\nother\n", "share/text": "other\n"})
Compose = Callable[..., Awaitable[Composition]]


async def forget_builds(servers: Opener) -> None:
    """Delete the records of images; packed paths and layers stay."""
    for key in await servers.storage.keys("builds/"):
        await servers.storage.delete(key)


async def test_packed_paths_are_composed_without_nix(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    first = await (await servers.open()).build("hello")
    await forget_builds(servers)
    starts = servers.nix.starts["realise"]

    assert await (await servers.open()).build("hello") == first

    assert servers.nix.starts["realise"] == starts


@pytest.mark.slow
async def test_layer_that_disappears_while_it_is_composed_is_packed_again(
    opener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = opener({"hello": HELLO})
    first = await (await servers.open()).build("hello")
    await forget_builds(servers)
    compose: Compose = Composer.compose
    failures = [StoreUnreadable("/nix/store/x", "it has been deleted")]

    async def fail_once(composer: Composer, *args: Any) -> Composition:  # noqa: ANN401  # passed on
        if failures:
            raise failures.pop()
        return await compose(composer, *args)

    monkeypatch.setattr(Composer, "compose", fail_once)
    starts = servers.nix.starts["realise"]

    assert await (await servers.open()).build("hello") == first

    assert servers.nix.starts["realise"] == starts + 1


@pytest.mark.slow
async def test_packing_has_a_time_limit(opener: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Composer, "compose", wait)
    server = await opener({"hello": HELLO}).open(packing_seconds=0.01)

    with pytest.raises(PackingTimedOut):
        await server.build("hello")


@pytest.mark.slow
async def test_time_out_of_another_operation_is_not_that_of_packing(
    opener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise TimeoutError("of the disk")

    monkeypatch.setattr(Composer, "compose", fail)
    server = await opener({"hello": HELLO}).open()

    with pytest.raises(RegistryError, match="internal error"):
        await server.build("hello")


@pytest.mark.slow
async def test_files_that_two_packages_share_are_a_warning(opener: Open) -> None:
    server = await opener({"hello": HELLO, "other": OTHER}).open()

    [warning] = (await server.build("hello/other")).warnings

    assert warning.startswith("packages share 2 file names: ")
    assert warning.endswith(", and more")


async def test_one_shared_file_is_named(opener: Open) -> None:
    other = package("other-1", {"bin/hello": "#!/bin/sh\nother\n"})
    server = await opener({"hello": HELLO, "other": other}).open()

    [warning] = (await server.build("hello/other")).warnings

    assert warning.startswith("two packages have the same file: ")
    assert "bin/hello" in warning


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "has_docker_manifest"), [("gzip", True), ("zstd", False)])
async def test_docker_manifest_exists_where_docker_reads_the_layers(
    opener: Open, codec: str, *, has_docker_manifest: bool
) -> None:
    server = await opener({"hello": HELLO}).open(codec=codec)

    image = await server.build("hello")

    assert image.manifest.media_type == MediaType.OCI_MANIFEST
    assert (image.docker_manifest is not None) is has_docker_manifest

"""Whole builds with real Nix and the small package set, without a network in between."""

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.builder.images.image import BuiltImage
from app.builder.names.search import FoundPackages
from app.builder.sources.definition import GitDefinition, PathDefinition, Policy, SourceDefinition
from app.errors import BuildFailed, NameUnknown, PackagesUnknown, PolicyRefused
from app.oci import Digest
from app.reference import ImageReference
from app.settings.settings import Settings
from app.state import AppState
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.filesystem import FilesystemStorage
from app.wiring.services import open_services
from tests.contract.storage_contract import fetch

pytestmark = pytest.mark.e2e

Open = Callable[..., Any]


@dataclass
class Repository:
    """A git repository with a package set in which ``tool`` is a package of the small set."""

    path: Path
    packages: Path

    def __post_init__(self) -> None:
        self.path.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, package: str) -> str:
        text = (
            f"args: let pkgs = import {self.packages} args; in pkgs // {{ tool = pkgs.{package}; }}"
        )
        (self.path / "default.nix").write_text(text)
        self._git("add", "default.nix")
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        self._git(*identity, "commit", "--quiet", "--message", package)
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


def with_default(sources: Sequence[SourceDefinition], packages: Path) -> Sequence[SourceDefinition]:
    debian = PathDefinition(name="debian", location=packages, default=True)
    return (*sources, *(() if any(one.default for one in sources) else (debian,)))


@pytest.fixture
async def start(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Servers without their HTTP side; ``start("one")`` again is the same one restarted."""
    monkeypatch.setenv("NIX_CONFIG", "substitute = false")
    async with AsyncExitStack() as stack:

        async def open_state(
            name: str, sources: Sequence[SourceDefinition] = (), **settings: object
        ) -> AppState:
            values: dict[str, Any] = {
                "storage_path": tmp_path / name,
                "state_path": tmp_path / f"{name}.state",
                **settings,
                "sources": with_default(sources, packages),
            }
            return await stack.enter_async_context(open_services(Settings(**values)))

        yield open_state


async def build(state: AppState, name: str, tag: str = "latest") -> BuiltImage:
    image = await state.images.pull(ImageReference.parse(name, tag), "").wait(None)
    assert isinstance(image, BuiltImage)
    return image


async def described(state: AppState, name: str) -> tuple[object, object]:
    """Manifest and config, for the day that they differ."""
    manifest = (await build(state, name)).manifest
    document = json.loads(await blobs_of(state).read_manifest(manifest.digest))
    location = await state.blobs.locate(Digest.parse(document["config"]["digest"]))
    return document, json.loads(fetch(location))


def blobs_of(state: AppState) -> BlobStore:
    assert isinstance(state.blobs, BlobStore)
    return state.blobs


def nix_starts(state: AppState) -> int:
    return sum(count for name, count in state.activity().items() if name.startswith("nix."))


def paths_packed(state: AppState) -> int:
    return state.activity()["packing.paths_packed"]


async def test_two_servers_make_the_same_bytes(start: Open) -> None:
    one = await start("one", workers=1)
    two = await start("two", workers=4)
    await build(two, "jq")
    await build(two, "curl")

    for name in ("shell/git/htop", "jq/curl", "arm64/hello", "nonroot/hello"):
        assert (await build(one, name)).manifest == (await build(two, name)).manifest


async def test_fifty_images_are_the_same_whatever_the_cores_and_the_order(start: Open) -> None:
    drawn = random.Random(1)
    packages = ["git", "htop", "curl", "jq", "python3", "nginx", "perl", "openssl", "sqlite"]
    names = {"/".join(drawn.sample([*packages, "shell", "nano"], k=1 + n % 5)) for n in range(80)}
    fifty = sorted(names)[:50]
    one = await start("one", workers=1)
    two = await start("two", workers=4)

    forwards = {name: await described(one, name) for name in fifty}
    backwards = {name: await described(two, name) for name in reversed(fifty)}

    assert len(fifty) == 50
    assert {n: (forwards[n], backwards[n]) for n in fifty if forwards[n] != backwards[n]} == {}


async def test_order_and_repetition_do_not_matter_and_the_architecture_does(start: Open) -> None:
    state = await start("one")

    image = await build(state, "jq/curl")

    assert (await build(state, "curl/jq/curl")).manifest == image.manifest
    assert (await build(state, "arm64/hello")).manifest != (await build(state, "hello")).manifest


async def test_a_new_combination_of_known_packages_needs_no_nix_and_no_compression(
    start: Open,
) -> None:
    state = await start("one")
    await build(state, "jq")
    await build(state, "curl")
    before = nix_starts(state), paths_packed(state)

    image = await build(state, "curl/jq")

    assert (nix_starts(state), paths_packed(state)) == before
    assert image.blobs


async def test_another_budget_compresses_nothing_again(start: Open) -> None:
    await build(await start("one"), "shell/git")

    state = await start("one", layer_budget=5)
    image = await build(state, "shell/git")

    assert paths_packed(state) == 0
    assert len(image.blobs) == 5 + 1 + 1


async def test_an_image_leaves_room_for_layers_and_its_name_may_request_fewer(start: Open) -> None:
    state = await start("one")
    name = "shell/git/htop/python3/nginx/curl/perl"
    one = await start("two", plan="none")

    image, few, planless = (
        await build(state, name),
        await build(state, f"few-layers/{name}"),
        await build(one, name),
    )

    # With the layer of the image's own, and its configuration.
    assert len(few.blobs) <= 16 + 1 + 1 < len(image.blobs) < len(planless.blobs) <= 63 + 1 + 1


async def test_an_image_cut_or_packed_in_another_way_is_another_image(
    start: Open, tmp_path: Path
) -> None:
    """One storage, and none is answered with what another server made."""
    plan = tmp_path / "plan.json"
    plan.write_text(
        '{"format": "nixery-plan-1", "packages": 9,'
        ' "names": {"curl-bin": [0, 1], "jq": [0, 1], "jq-bin": [0, 1]}}'
    )
    settings: tuple[dict[str, object], ...] = (
        {},
        {"codec": "zstd"},
        {"layer_budget": 5},
        {"plan": "none"},
        {"plan": str(plan)},
    )

    images = [await build(await start("one", **some), "curl/jq") for some in settings]

    assert len({image.manifest.digest for image in images}) == len(settings)
    again = [await build(await start("one", **some), "curl/jq") for some in settings]
    assert [image.manifest for image in again] == [image.manifest for image in images]


async def test_a_restarted_server_serves_what_was_built_without_nix(start: Open) -> None:
    image = await build(await start("one"), "jq")
    state = await start("one")
    starts = nix_starts(state)

    assert (await build(state, "jq")).manifest == image.manifest
    assert nix_starts(state) == starts


async def test_a_lost_layer_is_packed_again_with_the_same_digest(
    start: Open, tmp_path: Path
) -> None:
    state = await start("one")
    image = await build(state, "jq")
    storage = FilesystemStorage(tmp_path / "one")
    for blob in image.blobs:
        await storage.delete(keys.blob(blob.digest))
        state.existence.invalidate(blob.digest)

    again = await build(state, "jq")

    assert again.manifest == image.manifest
    for blob in image.blobs:
        assert len(fetch(await blobs_of(state).locate(blob.digest))) == blob.size


async def test_many_requests_for_one_image_make_one_evaluation(start: Open) -> None:
    state = await start("one")

    await asyncio.gather(*(build(state, name) for name in ["jq/curl", "curl/jq"] * 10))

    activity = state.activity()
    assert (activity["nix.evaluator"], activity["evaluators.answered"]) == (1, 1)
    assert "nix.evaluate" not in activity
    assert activity["nix.realise"] == 1


async def test_a_failing_build_names_its_derivation_and_its_last_lines(
    start: Open, salted_packages: Path
) -> None:
    failing = PathDefinition(name="failing", location=salted_packages, default=True)
    state = await start("one", sources=(failing,))

    with pytest.raises(BuildFailed, match=r"broken-build") as failure:
        await build(state, "broken-build")

    assert failure.value.derivation.endswith(".drv")
    assert failure.value.log


async def test_two_sources_with_different_policies_serve_side_by_side(
    start: Open, salted_packages: Path
) -> None:
    state = await start(
        "one",
        sources=(
            PathDefinition(name="strict", location=salted_packages),
            PathDefinition(name="free", location=salted_packages, policy=Policy(allow_unfree=True)),
        ),
    )

    image = await build(state, "free/unfree-package")
    with pytest.raises(PolicyRefused, match=r"unfree.* allow_unfree"):
        await build(state, "strict/unfree-package")

    assert image.blobs
    assert (await build(state, "hello")).manifest != image.manifest


async def test_a_moved_branch_is_followed(start: Open, packages: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", packages)
    first = repository.commit("hello")
    state = await start(
        "one",
        sources=(
            GitDefinition(
                name="team", location=str(repository.path), revision_seconds=1, default=True
            ),
        ),
    )
    image = await build(state, "tool")
    second = repository.commit("jq")

    async with asyncio.timeout(300):
        while (moved := await build(state, "tool")).manifest == image.manifest:
            pass

    assert (await build(state, "tool", first)).manifest == image.manifest
    assert (await build(state, "tool", second[:10])).manifest == moved.manifest


async def test_an_unknown_package_is_named_and_a_similar_one_proposed(start: Open) -> None:
    state = await start("one")

    with pytest.raises(PackagesUnknown, match=r"no such package: gitt .*git"):
        await build(state, "gitt")


async def test_the_search_knows_the_names_of_the_default_source(start: Open) -> None:
    state = await start("one")

    assert (await state.search("gi", 5, None)).names[0] == "git"
    assert "bashinteractive" in (await state.search("interactive", 5, None)).names
    with pytest.raises(PackagesUnknown, match=r"no such package: htopp .*htop"):
        await build(state, "htopp")
    assert state.activity()["nix.list"] == 1


async def test_the_search_knows_each_source_by_parameter_and_by_the_image_name(
    start: Open, tmp_path: Path
) -> None:
    (tmp_path / "team.nix").write_text(
        'args: { tool = derivation { name = "tool"; builder = "x"; inherit (args) system; }; }'
    )
    team = PathDefinition(name="team", location=tmp_path / "team.nix")
    state = await start("one", sources=(team,))

    for query, source in (("to", "team"), ("team/to", None), ("team/shell/to", None)):
        assert await state.search(query, 5, source) == FoundPackages("team", ("tool",))
    assert await state.search("shell/gi", 1, None) == FoundPackages("debian", ("git",))
    assert await state.search("team/gi", 1, "debian") == FoundPackages("debian", ("git",))
    with pytest.raises(NameUnknown, match=r"no source is called other; there is debian, team"):
        await state.search("to", 5, "other")


async def test_the_command_is_bash_with_a_shell_and_else_the_one_packages_program(
    start: Open,
) -> None:
    state = await start("one")

    assert await command(state, "shell/jq") == ["bash"]
    assert await command(state, "jq") == ["jq"]
    assert await command(state, "jq/curl") is None


async def command(state: AppState, name: str) -> object:
    image = await build(state, name)
    manifest = json.loads(await blobs_of(state).read_manifest(image.manifest.digest))
    location = await blobs_of(state).locate(Digest.parse(manifest["config"]["digest"]))
    command: object = json.loads(fetch(location))["config"].get("Cmd")
    return command

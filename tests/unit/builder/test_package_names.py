"""The names of a package set: listed, searched and suggested, whatever its attributes do."""

import pytest

from app.builder.evaluation.evaluator import Pinned
from app.builder.nix.door import EvaluationStopped
from app.errors import (
    EvaluationFailed,
    NamesPending,
    NameUnknown,
    PackagesUnknown,
    RegistryError,
    SourceUnavailable,
    StorageUnavailable,
)
from app.reference import Tag
from tests.fakes.package_set import Aborts, Attribute, Packages, Throws, Value, package
from tests.unit.builder.assembled import Assembled
from tests.unit.builder.conftest import Open

ATTRIBUTES: dict[str, Attribute] = {
    "hello": package("hello-1"),
    "hexdump": package("hexdump-1"),
    "aborts": Aborts("out of order"),
    "throws": Throws("old"),
    "function": Value("a function"),
    "python3Packages": Packages({"numpy": package("numpy-1"), "numba": package("numba-1")}),
    "hidden": {"tool": package("tool-1"), "toolbox": package("toolbox-1")},
}


async def pinned(server: Assembled) -> Pinned:
    source = server.images.search._default
    return Pinned(source, await source.resolve(Tag("latest")), "x86_64-linux")


async def failure(server: Assembled, name: str) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        await server.build(name)
    return raised.value


async def test_a_list_leaves_out_what_ends_the_evaluation(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()

    names = await server.images.search._attributes.names(await pinned(server))

    assert names == (
        "cacert",
        "hello",
        "hexdump",
        "iana-etc",
        "python3packages.numba",
        "python3packages.numpy",
    )


async def test_names_are_listed_once_also_after_a_restart(opener: Open) -> None:
    servers = opener(ATTRIBUTES)
    search = (await servers.open()).images.search
    found = await search("hell", 5, None)
    looks = servers.nix.starts["scan"]

    assert found.names == ("hello",)
    assert await search("hell", 5, None) == found
    assert await (await servers.open()).images.search("hell", 5, None) == found
    assert servers.nix.starts["scan"] == looks


async def test_a_name_that_nothing_has_is_not_evaluated_once_the_names_are_listed(
    opener: Open,
) -> None:
    servers = opener({"hello": package("hello-1")})
    server = await servers.open()
    await server.images.search("hello", 5, None)
    starts = servers.nix.starts["evaluate"]

    error = await failure(server, "hello/nonesuch")

    assert isinstance(error, PackagesUnknown)
    assert servers.nix.starts["evaluate"] == starts
    await server.build("hello")
    assert servers.nix.starts["evaluate"] > starts


async def test_a_search_is_for_the_last_component_in_the_source_that_the_first_names(
    opener: Open,
) -> None:
    servers = opener(ATTRIBUTES)
    servers.nix.sources = {"team": {"tool": package("tool-1")}}
    search = (await servers.open()).images.search

    assert (await search("team/to", 5, None)).names == ("tool",)
    assert (await search("to", 5, "team")).source == "team"
    with pytest.raises(NameUnknown, match="no source is called nope; there is set, team, flake"):
        await search("hell", 5, "nope")


@pytest.mark.parametrize(
    ("name", "suggestions"),
    [
        ("helo", "hello"),
        ("python3packages.nunpy", "python3packages.numpy"),
        ("pyton3packages.numpy", "python3packages.numpy"),
        ("hidden.tol", "hidden.tool"),
        ("hidde.tool", "hidden.tool"),
    ],
)
async def test_an_unknown_name_has_suggestions_of_its_set_or_a_similar_one(
    opener: Open, name: str, suggestions: str
) -> None:
    server = await opener(ATTRIBUTES).open()

    error = await failure(server, name)

    assert isinstance(error, PackagesUnknown)
    assert f"did you mean {suggestions}" in error.message


async def test_a_suggestion_that_could_not_be_listed_is_evaluated_first(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("scan", EvaluationStopped("too slow"), EvaluationStopped("too slow"))

    error = await failure(server, "helo")

    assert isinstance(error, PackagesUnknown)


async def test_names_that_cannot_be_listed_leave_the_error_as_it_is(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("scan", EvaluationFailed("the set is broken"))

    error = await failure(server, "helo")

    assert (type(error), error.message) == (PackagesUnknown, "no such package: helo")


async def test_names_that_cannot_be_listed_now_are_pending(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("scan", SourceUnavailable("the source is away"))

    assert isinstance(await failure(server, "helo"), NamesPending)


async def test_a_search_raises_the_failure_of_the_list(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.set_error = "syntax error"

    for _ in range(2):
        with pytest.raises(EvaluationFailed) as raised:
            await server.images.search("hello", 5, None)
        assert raised.value.page == ""  # lists of names do not have pages
    assert server.nix.starts["scan"] == 1


@pytest.mark.slow
async def test_names_are_used_although_they_cannot_be_stored(
    opener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = opener(ATTRIBUTES)
    server = await servers.open()
    await server.build("hello")

    async def full(*_: object, **__: object) -> None:
        raise StorageUnavailable("no space left")

    for method in ("read", "write"):
        monkeypatch.setattr(servers.storage, method, full)

    assert (await server.images.search("hell", 5, None)).names == ("hello",)

"""Names into packages: failures of one name, of a whole set, of policies and of limits."""

import pytest

from app.builder.nix.door import DerivationsMissing, EvaluationStopped
from app.builder.nix.results import License
from app.errors import (
    BuildFailed,
    EvaluationFailed,
    ImageUnknown,
    NotADerivation,
    NotCached,
    PolicyRefused,
    RegistryError,
    StoreUnavailable,
)
from tests.fakes.package_set import (
    Aborts,
    Attribute,
    Endless,
    Packages,
    Throws,
    Unreachable,
    Value,
    package,
)
from tests.unit.builder.assembled import Assembled
from tests.unit.builder.conftest import Open

ATTRIBUTES: dict[str, Attribute] = {
    "hello": package("hello-1"),
    "jq": package("jq-1"),
    "Git": package("Git-1"),
    "giT": package("giT-1"),
    "throws": Throws("no longer maintained"),
    "aborts": Aborts("out of order"),
    "also-aborts": Aborts("out of order as well"),
    "endless": Endless(),
    "fetches": Unreachable("https://example.org/x"),
    "function": Value("a function"),
    "inner": Packages({"tool": package("tool-1")}),
    "unfree": package("unfree-1", licenses=(License(name="own", free=False),)),
    "insecure": package("insecure-1", insecure=True),
    "vulnerable": package("vulnerable-1", vulnerabilities=("CVE-1",)),
    "marked": package("marked-1", broken=True),
    "refused": package(
        "refused-1",
        refusal="Package 'refused-1' in x.nix:1 is marked as broken, refusing to evaluate.",
    ),
    "fails": package("fails-1", fails=True),
    "uncached": package("uncached-1"),
}


async def failure(server: Assembled, name: str) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        await server.build(name)
    return raised.value


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("function", NotADerivation, "function is a function, not a package"),
        ("git", ImageUnknown, "git may be Git or giT"),
        ("throws", EvaluationFailed, "throws: no longer maintained"),
        ("aborts", EvaluationFailed, "aborts: evaluation aborted"),
        ("endless", EvaluationStopped, "endless: evaluation stopped after"),
        ("unfree", PolicyRefused, "unfree has the unfree licence own; allow_unfree may allow it"),
        ("insecure", PolicyRefused, "insecure is insecure; allow_insecure may allow it"),
        ("vulnerable", PolicyRefused, "vulnerable is insecure (CVE-1); allow_insecure may"),
        ("marked", PolicyRefused, "marked is marked as broken; allow_broken may allow it"),
        ("refused", EvaluationFailed, "refusing to evaluate; allow_broken may allow it"),
        ("fails", BuildFailed, "fails-1"),
    ],
)
async def test_each_failure_has_its_class_and_its_reason(
    opener: Open, name: str, kind: type[RegistryError], message: str
) -> None:
    server = await opener(ATTRIBUTES).open(evaluation_seconds=0.05)

    error = await failure(server, name)

    assert type(error) is kind
    assert message in error.message


@pytest.mark.slow
async def test_names_that_end_the_evaluation_do_not_affect_the_others(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()

    assert "aborts: " in (await failure(server, "hello/aborts/also-aborts/jq")).message

    starts = server.nix.starts["evaluate"]
    await server.build("hello/jq")
    assert server.nix.starts["evaluate"] == starts


@pytest.mark.slow
async def test_reasons_of_many_failures_are_looked_for_a_few_times(opener: Open) -> None:
    names = [f"throws{number}" for number in range(8)]
    server = await opener({name: Throws("old") for name in names}).open()
    await failure(server, "/".join(names))

    messages = [(await failure(server, name)).message for name in names]

    assert [message for message in messages if message.endswith(": old")] == [
        f"{name}: old" for name in names
    ]


@pytest.mark.slow
async def test_a_set_that_does_not_evaluate_is_at_fault_and_not_its_packages(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.set_error = "syntax error, unexpected end of file"

    error = await failure(server, "hello/jq")

    assert error.message == (
        "the package set of source set does not evaluate: syntax error, unexpected end of file"
    )
    server.nix.set_error = ""
    await server.build("hello")


@pytest.mark.slow
async def test_a_limit_that_one_name_exceeds_is_not_the_failure_of_the_others(
    opener: Open,
) -> None:
    server = await opener(ATTRIBUTES).open(evaluation_seconds=0.05)

    assert "endless" in (await failure(server, "endless/hello")).message
    await server.build("hello")


@pytest.mark.slow
async def test_derivations_that_were_collected_are_written_again(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("realise", DerivationsMissing("x.drv"), DerivationsMissing("x.drv"))

    await server.build("hello")

    assert server.nix.starts["realise"] == 3


async def test_what_must_be_built_is_evaluated_again_once_for_a_revision(
    opener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await opener(ATTRIBUTES).open()
    # As with a binary cache that lacks the packages.
    monkeypatch.setattr(server.nix, "needs_derivations", lambda _: False)

    await server.build("hello")
    assert (server.nix.starts["evaluate"], server.nix.starts["realise"]) == (2, 2)

    await server.build("jq")
    assert (server.nix.starts["evaluate"], server.nix.starts["realise"]) == (3, 3)


async def test_a_package_that_changes_when_derivations_are_written_is_corrected(
    opener: Open,
) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("realise", StoreUnavailable("busy"))
    await failure(server, "hello/jq")
    server.nix.packages = {**server.nix.packages, "hello": package("hello-2")}
    server.nix.fail_next("realise", DerivationsMissing("x.drv"))

    corrected = await server.build("hello")

    evaluations = server.nix.starts["evaluate"]
    assert await server.build("hello") == corrected
    assert server.nix.starts["evaluate"] == evaluations
    built = {path.name.partition("-")[2] for path in server.nix.store_directory.iterdir()}
    assert "hello-2" in built
    assert "hello-1" not in built


async def test_derivations_that_are_always_gone_end_in_a_failure(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("realise", *[DerivationsMissing("x.drv")] * 4)

    error = await failure(server, "hello")

    assert isinstance(error, BuildFailed)
    assert "x.drv does not exist" in error.message


@pytest.mark.slow
async def test_a_source_without_builds_serves_what_a_cache_has(opener: Open) -> None:
    cached = package("cached-1", is_cached=True)
    servers = opener(
        {
            "cacert": package("cacert-1", is_cached=True),
            "iana-etc": package("iana-etc-1", is_cached=True),
            "cached": cached,
            "uncached": package("uncached-1"),
        }
    )
    server = await servers.open(team={"build": False})

    await server.build("team/cached")
    assert isinstance(await failure(server, "team/uncached"), NotCached)


@pytest.mark.slow
async def test_a_policy_of_the_source_allows_what_others_refuse(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(
        team={"policy": {"allow_unfree": True, "allow_insecure": ["insecure"]}}
    )

    await server.build("team/unfree/insecure")
    assert isinstance(await failure(server, "unfree"), PolicyRefused)
    assert isinstance(await failure(server, "team/vulnerable"), PolicyRefused)


@pytest.mark.slow
async def test_a_transient_failure_of_the_store_is_reported_as_such(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open()
    server.nix.fail_next("closure", StoreUnavailable("the disk is full"))

    assert isinstance(await failure(server, "hello"), StoreUnavailable)

"""The door to Nix against the Nix of this machine."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from app.builder.nix.results import License
from app.builder.sources.definition import Policy
from app.errors import (
    EvaluationFailed,
    ManifestUnknown,
    NotADerivation,
    PackagesUnknown,
    PolicyRefused,
    Unavailable,
)
from app.storage.memory import MemoryStorage
from tests.e2e.door import SMALL, Door, MakeDoor

pytestmark = pytest.mark.e2e

# ---- evaluation


@pytest.mark.parametrize(
    ("asked", "attribute"),
    [
        ("hello", "hello"),
        ("bashinteractive", "bashInteractive"),
        ("2ping", "_2ping"),
        ("github", "github"),
        ("dotted.name", "dotted.name"),
        ("python3packages.numpy", "python3Packages.numPy"),
        ("python3packages.3to2", "python3Packages._3to2"),
        ("python3packages.inner.deep", "python3Packages.inner.Deep"),
    ],
)
async def test_names_are_found_as_clients_can_write_them(
    lookup: Door, asked: str, attribute: str
) -> None:
    assert (await lookup.package(asked)).attribute == attribute


async def test_all_names_are_evaluated_together(lookup: Door) -> None:
    packages = await lookup.packages("hello", "2ping", "many", "python3packages.numpy")

    assert [p.pname for p in packages] == ["hello", "2ping", "many", "numpy"]
    assert lookup.nix.starts == Counter(evaluator=1)
    assert len(lookup.nix.asked) == 1


async def test_a_package_has_the_metadata_that_images_need(lookup: Door) -> None:
    hello = await lookup.package("hello")

    assert (hello.name, hello.pname, hello.version) == ("hello-2.12", "hello", "2.12")
    assert [one.name for one in hello.licenses] == ["GPL-3.0-or-later"]
    assert (hello.main_program, hello.priority) == ("hello", 4)


async def test_invalid_metadata_is_ignored(lookup: Door) -> None:
    odd = await lookup.package("oddmeta")

    assert (odd.licenses, odd.main_program, odd.priority) == ((), None, None)


async def test_a_package_has_a_bounded_number_of_licenses_and_vulnerabilities(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    """A package could fill caches and storage with them; none that is not free is left out."""
    (tmp_path / "set.nix").write_text(
        "{ system, ... }: let many = builtins.genList (n: n); in {"
        ' free = derivation { name = "free-1"; inherit system; builder = "/bin/sh"; } // {'
        ' meta.license = many 50000 ++ [ { free = false; shortName = "own"; } ];'
        ' meta.knownVulnerabilities = map (n: "CVE-${toString n}") (many 50000); }; }'
    )
    policy = Policy(allow_unfree=True, allow_insecure=True)

    package = await make_door(location=tmp_path / "set.nix", policy=policy).package("free")

    assert len(package.licenses) == len(package.vulnerabilities) == 200
    assert package.licenses[0] == License("own", free=False)
    assert package.vulnerabilities[0] == "CVE-0"


async def test_the_output_taken_is_the_first_unless_another_is_named(lookup: Door) -> None:
    first, man = await lookup.packages("many", "many.man")

    assert (first.output, man.output) == ("bin", "man")
    assert first.derivation == man.derivation
    assert first.path.name == "many-1-bin"


@pytest.mark.parametrize("trusted", [True, False])
async def test_bytes_that_are_not_utf8_are_replaced(
    make_door: MakeDoor, tmp_path: Path, *, trusted: bool
) -> None:
    """Old Nix prints them as they are; from 2.20 on they would be an error of the package."""
    (tmp_path / "set.nix").write_bytes(
        b'{ system, ... }: { latin = derivation { name = "latin-1"; inherit system;'
        b' builder = "/bin/sh"; } // { version = "1\xe9"; meta.description = "odd \xc3\xa9 \xe2\x82"; }; }'
    )
    door = make_door(location=tmp_path / "set.nix", trusted=trusted)

    package = await door.package("latin")

    assert package.version == "1\N{REPLACEMENT CHARACTER}"
    assert package.description == "odd \u00e9 " + 2 * "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("override", "a function"),
        ("functor", "a function"),
        ("version", "a string"),
        ("lib", "a set"),
        ("nothing", "null"),
        ("python3packages", "a set of packages"),
        ("hello.meta.license", "a set"),
    ],
)
async def test_the_kind_of_other_values_is_named(lookup: Door, asked: str, kind: str) -> None:
    with pytest.raises(NotADerivation, match=f"is {kind}, not a package"):
        await lookup.package(asked)


async def test_capitals_that_could_mean_two_attributes_are_an_error_that_lists_both(
    lookup: Door,
) -> None:
    with pytest.raises(ManifestUnknown, match="twin may be Twin or tWin"):
        await lookup.package("twin")


async def test_all_unknown_names_are_reported_at_once(lookup: Door) -> None:
    with pytest.raises(PackagesUnknown) as failure:
        await lookup.packages("nope", "hello", "hello.nope", "override.x")

    assert failure.value.packages == ("nope", "hello.nope", "override.x")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("throws", "throws: this package was removed in 2020"),
        ("refusing", "refusing: hello refuses"),
    ],
)
async def test_an_error_of_a_package_has_its_own_message(
    lookup: Door, asked: str, message: str
) -> None:
    with pytest.raises(EvaluationFailed, match=f"^{message}$"):
        await lookup.packages("hello", asked)


@pytest.mark.parametrize(
    ("asked", "reason", "setting"),
    [
        ("unfree", "unfree licence unfree", "allow_unfree"),
        ("insecure", "CVE-2000-0001", "allow_insecure"),
        ("broken", "marked as broken", "allow_broken"),
    ],
)
async def test_policy_refuses_with_its_reason_and_the_setting(
    make_door: MakeDoor, asked: str, reason: str, setting: str
) -> None:
    strict = make_door(location=SMALL / "lookup.nix")
    by_name = make_door(
        location=SMALL / "lookup.nix", policy=Policy.model_validate({setting: [asked]})
    )
    everything = make_door(
        location=SMALL / "lookup.nix", policy=Policy.model_validate({setting: True})
    )

    with pytest.raises(PolicyRefused, match=rf"{reason}.*{setting}"):
        await strict.package(asked)
    assert (await by_name.package(asked)).pname == asked
    assert (await everything.package(asked)).pname == asked


_NEEDS_UNFREE = """{ system, config, ... }:
let
  package = name: needs: derivation { inherit name system needs; builder = "/bin/sh"; };
  unfree =
    if config.allowUnfree then package "lib-1.0" null
    else throw ''Package \u2018lib-1.0\u2019 in ${toString ./.}/lib.nix:3 has an unfree license (\u2018own\u2019), refusing to evaluate.

a) To temporarily allow unfree packages, you can use an environment variable.'';
in
{ user = package "user-1.0" unfree; }
"""


async def test_a_refusal_of_the_set_itself_has_the_setting_that_would_allow_it(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    (tmp_path / "set.nix").write_text(_NEEDS_UNFREE)
    strict = make_door(location=tmp_path / "set.nix")
    lax = make_door(location=tmp_path / "set.nix", policy=Policy(allow_unfree=True))

    with pytest.raises(
        EvaluationFailed, match=r"lib-1\.0.* refusing to evaluate; allow_unfree may"
    ):
        await strict.package("user")
    assert (await lax.package("user")).name == "user-1.0"


# ---- memory


async def test_a_name_is_evaluated_once_for_a_revision_whatever_the_result(lookup: Door) -> None:
    await lookup.packages("hello", "2ping")
    with pytest.raises(PackagesUnknown):
        await lookup.packages("hello", "nope")
    with pytest.raises(EvaluationFailed):
        await lookup.package("throws")
    before = len(lookup.nix.asked)

    await lookup.packages("2ping", "hello")
    with pytest.raises(PackagesUnknown):
        await lookup.packages("nope", "2ping")
    with pytest.raises(EvaluationFailed):
        await lookup.package("throws")

    assert len(lookup.nix.asked) == before


async def test_concurrent_callers_of_the_same_names_share_one_evaluation(lookup: Door) -> None:
    await asyncio.gather(*(lookup.packages("hello", "2ping") for _ in range(20)))

    assert lookup.nix.starts == Counter(evaluator=1)
    assert len(lookup.nix.asked) == 1


async def test_results_outlive_the_server(make_door: MakeDoor) -> None:
    storage = MemoryStorage()
    first = make_door(location=SMALL / "lookup.nix", storage=storage)
    hello = await first.package("hello")

    restarted = make_door(location=SMALL / "lookup.nix", storage=storage)

    assert await restarted.package("hello") == hello
    assert restarted.nix.starts == Counter()


async def test_another_policy_is_another_evaluation(make_door: MakeDoor) -> None:
    storage = MemoryStorage()
    strict = make_door(location=SMALL / "lookup.nix", storage=storage)
    with pytest.raises(PolicyRefused):
        await strict.package("unfree")

    lax = make_door(
        location=SMALL / "lookup.nix", storage=storage, policy=Policy(allow_unfree=True)
    )

    assert (await lax.package("unfree")).pname == "unfree"


# ---- Nix itself


async def test_the_version_of_nix_and_its_sandbox_are_known(lookup: Door) -> None:
    assert "Nix" in await lookup.nix.version()
    assert await lookup.nix.sandboxed() in (True, False)


async def test_a_missing_nix_and_an_old_nix_have_different_messages(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    nowhere = make_door(location=SMALL / "lookup.nix", path=str(programs))
    with pytest.raises(Unavailable, match=r"Nix is not installed.*apt-get install nix-bin"):
        await nowhere.nix.version()

    (programs / "nix").write_text("#!/bin/sh\necho 'nix (Nix) 2.3.16'\n")
    (programs / "nix").chmod(0o755)
    with pytest.raises(Unavailable, match=r"Nix 2\.8 or later is needed.*2\.3\.16"):
        await nowhere.nix.version()

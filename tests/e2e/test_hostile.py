"""Package sets of strangers: every attack fails by itself, with words of its own."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from app.builder.nix.results import Found
from app.errors import (
    EvaluationFailed,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
)
from tests.e2e.door import SETS, Door, MakeDoor, doors

pytestmark = pytest.mark.e2e


@pytest.fixture
async def make_door(tmp_path: Path) -> AsyncIterator[MakeDoor]:
    """Untrusted sources, with little time and memory."""
    async with doors() as make:
        yield partial(make, tmp_path, trusted=False, evaluation_seconds=15, evaluation_memory=1024)


@pytest.fixture
def hostile(make_door: MakeDoor) -> Door:
    return make_door(location=SETS / "hostile", name="strange")


ENDINGS = {
    "aborts": "evaluation aborted with the following error message: 'by all means'",
    "recurses": "infinite recursion encountered",
    "deep": "stack overflow",
    "missing": "attribute 'noSuchAttribute' missing",
    "mistyped": "cannot add a string to an integer",
    "throws": "sorry",
    "throwsmuch": "line 0 of an essay line 1 of an essay",
    "spins": r"stopped after 15 s \(evaluation_seconds of source strange\)",
    "eats": r"out of memory; evaluations of source strange may use 1024 MiB \(evaluation_memory\)",
    "chatters": "evaluation printed more than 32 MiB",
    "readspasswords": "forbidden in restricted mode",
    "readsbysource": "forbidden in restricted mode",
    "listsdirectories": "forbidden in restricted mode",
    "importsoutside": "forbidden in restricted mode",
    "followsalink": "forbidden in restricted mode",
    "fetches": "fetchurl is refused to a source that is not trusted",
    "fetchesgit": "fetchGit is refused to a source that is not trusted",
    "buildswhileevaluating": "allow-import-from-derivation",
    "claims": "a package without drvAttrs is refused to a source that is not trusted",
    "lies": "its drvPath is not the derivation that its drvAttrs make",
    "escapes": "invalid package",
    "injects": "invalid package",
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_each_fails_with_a_message_of_its_own_on_one_short_line(
    hostile: Door, name: str, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationFailed, match=f"^{name}: .*{ENDINGS[name]}") as failure:
        await hostile.package(name)

    assert len(failure.value.message) <= 330
    assert "\n" not in failure.value.message
    assert str(tmp_path) not in failure.value.message
    assert str(SETS) not in failure.value.message


async def test_a_refusal_shows_the_beginning_of_long_metadata(hostile: Door) -> None:
    with pytest.raises(PolicyRefused, match=r"^hugemetadata is insecure \(0123") as refusal:
        await hostile.package("hugemetadata")

    assert len(refusal.value.message) <= 330


@pytest.mark.parametrize(
    "name", ["aborts", "recurses", "deep", "missing", "eats", "spins", "claims"]
)
async def test_hostile_names_do_not_fail_others_of_the_same_request(
    hostile: Door, name: str
) -> None:
    with pytest.raises(EvaluationFailed, match=f"^{name}: "):
        await hostile.packages("fine", name, "alsofine")
    starts = hostile.nix.starts["evaluate"]

    fine, also = await hostile.packages("fine", "alsofine")

    assert (fine.pname, also.pname) == ("fine", "also-fine")
    assert hostile.nix.starts["evaluate"] == starts


async def test_one_request_does_not_spoil_another_that_comes_at_once(hostile: Door) -> None:
    bad = asyncio.create_task(hostile.packages("fine", "aborts"))
    good = asyncio.create_task(hostile.packages("alsofine", "fine"))

    with pytest.raises(EvaluationFailed, match=r"^aborts: "):
        await bad

    assert [package.pname for package in await good] == ["also-fine", "fine"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("looksaround", "not-there"), ("readsenvironment", "path-0")],
)
async def test_the_machine_cannot_be_seen(hostile: Door, name: str, found: str) -> None:
    assert (await hostile.package(name)).name == found


async def test_huge_metadata_is_ignored(hostile: Door) -> None:
    package = await hostile.package("hugename")

    assert (package.attribute, package.name, package.pname) == ("hugeName", None, None)


async def test_forged_metadata_does_not_permit_a_package(hostile: Door) -> None:
    with pytest.raises(PolicyRefused, match="unfree"):
        await hostile.package("forges")


async def test_a_derivation_is_known_by_what_it_is_made_of_and_not_by_its_context(
    hostile: Door,
) -> None:
    fine, borrows = await hostile.packages("fine", "borrows")

    assert (borrows.derivation, borrows.path) == (fine.derivation, fine.path)


async def test_a_derivation_that_was_never_made_is_refused_to_a_trusted_source_too(
    make_door: MakeDoor,
) -> None:
    trusting = make_door(location=SETS / "hostile", trusted=True)

    with pytest.raises(EvaluationFailed, match=r"^lies: its derivation is not in the store"):
        await trusting.package("lies")


@pytest.mark.parametrize(
    ("name", "pname"),
    [
        ('${builtins.abort "spliced"}', "dollar"),
        ('quote"quote', "quote"),
        ("it's", "apostrophe"),
        ("new\nline", "newline"),
    ],
)
async def test_names_are_data_even_where_they_exist(hostile: Door, name: str, pname: str) -> None:
    assert (await hostile.package(name)).pname == pname


@pytest.mark.parametrize(
    "name",
    [
        '"; abort "out"; "',
        '${abort "x"}',
        "''${abort \"x\"}''",
        "fine}; x = ${fine",
        "$(touch /tmp/nixery-was-here)",
        "`touch /tmp/nixery-was-here`",
        "--option",
        "../../etc/passwd",
        "\\",
        "fine\\",
        "\ud7ff\U0010ffff",
        "." * 200,
        "x" * 60_000,
    ],
)
async def test_names_that_would_be_code_are_just_unknown(hostile: Door, name: str) -> None:
    with pytest.raises(PackagesUnknown):
        await hostile.package(name)

    assert not Path("/tmp/nixery-was-here").exists()


WHOLE_SETS = {
    "abort": ('abort "the whole set"', "evaluation aborted.*the whole set"),
    "syntax": ("{ a = ; }", "syntax error"),
    "number": ("7", "the package source is a number, not a set of packages"),
    "endless": ("let x = x; in x", "infinite recursion"),
    "outside": ("import /etc/hostname", "forbidden in restricted mode"),
    "arguments": ("{ nothing }: nothing", "without required argument 'nothing'"),
}


@pytest.mark.parametrize("name", WHOLE_SETS)
async def test_a_set_that_does_not_evaluate_at_all_has_a_reason(
    make_door: MakeDoor, tmp_path: Path, name: str
) -> None:
    text, message = WHOLE_SETS[name]
    (tmp_path / "set.nix").write_text(text)
    whole = make_door(location=tmp_path / "set.nix")

    expected = f"^the package set of source small does not evaluate: .*{message}"
    with pytest.raises(EvaluationFailed, match=expected) as failure:
        await whole.packages("a", "b", "c")

    assert str(tmp_path) not in failure.value.message
    assert whole.nix.starts["evaluate"] == 2


async def test_a_source_may_read_what_its_operator_lists(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    (tmp_path / "set.nix").write_text(f"import {tmp_path}/other.nix")
    (tmp_path / "other.nix").write_text((SETS / "small" / "lookup.nix").read_text())
    reading = make_door(location=tmp_path / "set.nix", reads=[str(tmp_path / "other.nix")])

    assert (await reading.package("hello")).pname == "hello"


async def test_a_trusted_source_may_read_what_it_likes(make_door: MakeDoor) -> None:
    trusting = make_door(location=SETS / "hostile", trusted=True)

    package: Found | RegistryError = await trusting.package("looksaround")

    assert isinstance(package, Found)
    assert package.name == "there"

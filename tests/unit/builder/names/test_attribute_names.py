"""All names of a package set are listed within limits, whatever some attributes do."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.builder.names import attribute_names
from app.builder.names.attribute_names import AttributeNames, list_names, packages_among
from app.builder.nix.door import EvaluationStopped
from app.errors import EvaluationFailed
from tests.fakes.nix import FakeNix
from tests.fakes.package_set import (
    Aborts,
    Attribute,
    Endless,
    Packages,
    Throws,
    Value,
    package,
)
from tests.unit.builder.nix.programs.evaluations import EVALUATION
from tests.virtualtime import virtual_backend

MIXED: Mapping[str, Attribute] = {
    "a": package("a-1"),
    "b": Packages({"inner": package("inner-1")}),
    "c": {"inner": package("inner-1")},
    "d": Value("a function"),
    "e": Throws("removed"),
    "f": Aborts("out of order"),
    "g": Packages({}),
    "h": package("h-1"),
}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


async def names(nix: FakeNix) -> AttributeNames:
    return await list_names(nix, EVALUATION, clock=asyncio.get_running_loop().time)


async def test_each_attribute_is_of_one_kind(tmp_path: Path) -> None:
    found = await names(FakeNix(tmp_path, MIXED))

    assert found == AttributeNames(
        packages=("a", "h"),
        nested=("b.inner",),
        unlooked=(),
        sets=("c", "g"),
        others=("d", "e", "f"),
        complete=True,
    )
    assert found.candidates == ("a", "h", "b.inner")


async def test_attribute_without_end_costs_a_part_of_the_time(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, {"a": package("a-1"), "b": Endless(), "c": package("c-1")})

    found = await names(nix)

    assert (found.packages, found.unlooked) == (("a", "c"), ("b",))
    assert nix.starts["scan"] == 3
    assert asyncio.get_running_loop().time() == 30


async def test_many_attributes_without_end_are_left_when_the_time_is_over(tmp_path: Path) -> None:
    endless = {f"e{number:02}": Endless() for number in range(40)}

    found = await names(FakeNix(tmp_path, {**endless, "z": package("z-1")}))

    assert found.packages == ()
    assert found.unlooked == (*endless, "z")
    assert found.complete
    assert asyncio.get_running_loop().time() == 300


async def test_names_beyond_the_limit_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribute_names, "_NAMES", 3)

    found = await names(FakeNix(tmp_path, MIXED))

    assert not found.complete
    assert len((*found.candidates, *found.sets, *found.others)) == 3


async def test_set_that_takes_longer_than_its_share_has_all_of_the_time(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, MIXED)
    nix.fail_next("scan", EvaluationStopped("stopped"))

    assert (await names(nix)).packages == ("a", "h")


async def test_set_that_is_stopped_twice_has_no_names(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, MIXED)
    nix.fail_next("scan", EvaluationStopped("first"), EvaluationStopped("second"))

    with pytest.raises(EvaluationStopped, match="second"):
        await names(nix)


async def test_names_that_were_listed_outlive_a_later_stop(tmp_path: Path) -> None:
    class Stopping(FakeNix):
        """A set that loads once."""

        async def scan(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # passed on
            if self.starts["scan"] > 0:
                raise EvaluationStopped("stopped")
            return await super().scan(*args, **options)

    found = await names(Stopping(tmp_path, MIXED))

    assert found.packages == ("a",)
    assert found.others == ("d", "e", "f")
    assert found.unlooked == ("g", "h")


async def test_packages_are_found_among_names(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, MIXED)

    assert await packages_among(nix, EVALUATION, ["h", "d", "f", "b", "a", "none"]) == {"a", "h"}
    assert await packages_among(nix, EVALUATION, []) == frozenset()


async def test_name_without_end_leaves_the_packages_before_it(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, {**MIXED, "z": Endless()})

    assert await packages_among(nix, EVALUATION, ["a", "z", "h"]) == {"a"}


async def test_set_that_does_not_evaluate_has_no_packages(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, MIXED)
    nix.fail_next("scan", EvaluationFailed("syntax error"))

    assert await packages_among(nix, EVALUATION, ["a"]) == frozenset()

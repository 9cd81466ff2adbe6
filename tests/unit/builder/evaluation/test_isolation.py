"""Reasons of names that do not evaluate, and the hints that are added to them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.evaluation.isolation import evaluate_apart
from app.builder.nix.door import Evaluation, EvaluationStopped, Flake, PackageSet
from app.builder.nix.results import EvaluationResult, Failed, NotFound, Validity
from app.errors import EvaluationFailed
from tests.fakes.nix import FakeNix
from tests.fakes.package_set import Throws
from tests.unit.builder.nix.programs.evaluations import EVALUATION

FLAKE = replace(EVALUATION, package_set=PackageSet("flake", "/x", flake=Flake("/x", "0" * 40, 0)))
SUBMODULES = tuple(f"vendor/{number}" for number in range(5))


class Explaining(FakeNix):
    """Every name fails; ``reason`` is what an evaluation with ``explain`` returns or raises."""

    def __init__(self, directory: Path, reason: EvaluationResult | EvaluationFailed) -> None:
        super().__init__(directory, {"tool": Throws("removed")})
        self.reason = reason

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        if not explain:
            return await super().evaluate(evaluation, names)
        if isinstance(self.reason, EvaluationFailed):
            raise self.reason
        return (self.reason,)


async def explained(
    directory: Path,
    reason: EvaluationResult | EvaluationFailed,
    evaluation: Evaluation = EVALUATION,
) -> EvaluationResult:
    [result] = await evaluate_apart(Explaining(directory, reason), evaluation, ["tool"])
    return result


async def test_without_names_nothing_is_evaluated(tmp_path: Path) -> None:
    nix = FakeNix(tmp_path, {})

    assert await evaluate_apart(nix, EVALUATION, ()) == ()
    assert nix.requested == []


async def test_error_of_the_set_is_the_reason(tmp_path: Path) -> None:
    assert await explained(tmp_path, EvaluationFailed("removed in 2020")) == Failed(
        message="removed in 2020"
    )


async def test_limit_of_the_second_evaluation_is_the_reason_for_minutes(tmp_path: Path) -> None:
    assert await explained(tmp_path, EvaluationStopped("stopped after 60 s")) == Failed(
        message="stopped after 60 s", validity=Validity.MINUTES
    )


async def test_name_that_evaluates_the_second_time_has_that_result(tmp_path: Path) -> None:
    assert await explained(tmp_path, NotFound()) == NotFound()


@pytest.mark.parametrize(
    ("evaluation", "hint"),
    [
        (EVALUATION, "allow_unfree may allow it"),
        (FLAKE, "the flake's own config of nixpkgs may allow it"),
    ],
)
async def test_refusal_of_nixpkgs_names_the_setting(
    tmp_path: Path, evaluation: Evaluation, hint: str
) -> None:
    error = EvaluationFailed(
        "Package 'tool-1' in x.nix:1 has an unfree license ('own'), refusing to evaluate. a) For"
    )

    result = await explained(tmp_path, error, evaluation)

    assert isinstance(result, Failed)
    assert result.message.endswith(f"refusing to evaluate; {hint}")


@pytest.mark.parametrize(
    ("submodules", "named"),
    [
        (SUBMODULES[:2], "vendor/0, vendor/1"),
        (SUBMODULES, "vendor/0, vendor/1, vendor/2, vendor/3, ..."),
    ],
)
async def test_missing_file_of_a_set_with_submodules_names_them(
    tmp_path: Path, submodules: tuple[str, ...], named: str
) -> None:
    package_set = replace(EVALUATION.package_set, submodules=submodules)
    evaluation = replace(EVALUATION, package_set=package_set)
    error = EvaluationFailed("getting status of '/x/vendor/0/a.nix': No such file or directory")

    result = await explained(tmp_path, error, evaluation)

    assert isinstance(result, Failed)
    assert result.message == f"{error.message} (submodules are not fetched: {named})"
    other = await explained(tmp_path / "other", EvaluationFailed("removed"), evaluation)
    assert other == Failed(message="removed")

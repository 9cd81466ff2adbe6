"""Names are evaluated in a kept process first, and in a new one where that fails."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.builder.nix.door import Evaluation, EvaluationStopped, OneOfManyFailed
from app.builder.nix.programs import claims
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.expressions import Expressions
from app.builder.nix.programs.session import RequestFailed
from app.builder.nix.results import Failed, Found, NotFound, Validity
from app.errors import EvaluationFailed, Unavailable
from app.system.process import OutOfTime, ProgramMissing
from app.system.workers import Workers
from tests.unit.builder.nix.programs.evaluations import EVALUATION, Kept

PATH = "/nix/store/" + "a" * 32 + "-tool-1"
DERIVATION = "/nix/store/" + "b" * 32 + "-tool-1.drv"
PACKAGE = {
    "status": "package",
    "attribute": "tool",
    "derivation": DERIVATION,
    "output": "out",
    "path": PATH,
}
UNKNOWN = {"status": "unknown"}
CONFIRMED = {**PACKAGE, "confirmed": True}
READ_ONLY = replace(EVALUATION, read_only=True)
NONE = '[{"status": "unknown"}]'


class Processes(ExpressionProcesses):
    """Prints ``printed`` for each evaluation; raises ``error`` for each read-only one."""

    def __init__(self, printed: str, error: Exception | None = None) -> None:
        self.printed = printed
        self.error = error
        self.requests: list[Mapping[str, object]] = []

    async def evaluate(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: Mapping[str, object],
    ) -> bytes:
        assert (kind, expression) == ("evaluate", "evaluate.nix")
        assert replace(evaluation, read_only=False) == EVALUATION
        self.requests.append(request)
        if evaluation.read_only and self.error:
            raise self.error
        return self.printed.encode()


def expressions(kept: Kept, printed: str = "", error: Exception | None = None) -> Expressions:
    processes = Processes(printed, error)
    return Expressions(processes=processes, evaluators=kept, workers=Workers(1))


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """The outputs of each derivation in the store."""
    found: dict[str, dict[str, str]] = {DERIVATION: {"out": PATH}}

    def read(derivation: str) -> dict[str, str]:
        if derivation not in found:
            raise FileNotFoundError(derivation)
        return found[derivation]

    monkeypatch.setattr(claims, "read_outputs", read)
    return found


@pytest.mark.usefixtures("derivations")
async def test_results_come_from_a_kept_process() -> None:
    kept = Kept([PACKAGE, UNKNOWN, "nonsense"])

    package, unknown, invalid = await expressions(kept).evaluate(
        EVALUATION, ["tool", "none", "odd"], explain=False
    )

    assert isinstance(package, Found)
    assert (unknown, invalid) == (NotFound(), Failed(message="invalid package"))


@pytest.mark.usefixtures("derivations")
async def test_reasons_come_from_a_new_process() -> None:
    kept = Kept()

    [result] = await expressions(kept, '[{"status": "unknown"}]').evaluate(
        EVALUATION, ["none"], explain=True
    )

    assert result == NotFound()
    assert kept.requests == []


async def test_kept_process_that_lost_its_derivations_is_stopped(
    derivations: dict[str, dict[str, str]],
) -> None:
    derivations.clear()
    kept = Kept([PACKAGE])

    [result] = await expressions(kept, '[{"status": "unknown"}]').evaluate(
        EVALUATION, ["tool"], explain=False
    )

    assert result == NotFound()
    assert kept.invalidated == 1


async def test_derivation_that_a_new_process_lost_is_a_transient_failure(
    derivations: dict[str, dict[str, str]],
) -> None:
    derivations.clear()
    printed = str([PACKAGE]).replace("'", '"')

    [result] = await expressions(Kept(), printed).evaluate(EVALUATION, ["tool"], explain=False)

    assert isinstance(result, Failed)
    assert result.validity == Validity.NEVER


async def test_failure_among_several_names_is_reported_without_a_new_process() -> None:
    with pytest.raises(OneOfManyFailed):
        await expressions(Kept(RequestFailed())).evaluate(EVALUATION, ["a", "b"], explain=False)


async def test_failure_of_one_name_needs_a_new_process() -> None:
    kept = Kept(RequestFailed())

    [result] = await expressions(kept, '[{"status": "unknown"}]').evaluate(
        EVALUATION, ["a"], explain=False
    )

    assert result == NotFound()


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OutOfTime("60 s", b""), EvaluationStopped), (ProgramMissing("nix"), Unavailable)],
)
async def test_other_failures_end_the_evaluation(error: Exception, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        await expressions(Kept(error)).evaluate(EVALUATION, ["a"], explain=False)


@pytest.mark.parametrize("printed", ["", "[]", "{}"])
async def test_unexpected_output_is_an_error(printed: str) -> None:
    with pytest.raises(EvaluationFailed, match="unexpected output from the evaluation of team"):
        await expressions(Kept(), printed).evaluate(EVALUATION, ["a"], explain=False)


# ---- without derivation files


async def test_confirmed_path_needs_no_derivation(derivations: dict[str, dict[str, str]]) -> None:
    derivations.clear()
    kept = Kept([CONFIRMED, UNKNOWN])

    package, unknown = await expressions(kept).evaluate(READ_ONLY, ["tool", "none"], explain=False)

    assert isinstance(package, Found)
    assert (str(package.path), unknown) == (PATH, NotFound())


async def test_new_process_confirms_paths_too(derivations: dict[str, dict[str, str]]) -> None:
    derivations.clear()

    [package] = await expressions(Kept(), json.dumps([CONFIRMED])).evaluate(
        READ_ONLY, ["tool"], explain=False
    )

    assert isinstance(package, Found)


@pytest.mark.parametrize(
    "row", [PACKAGE, {**PACKAGE, "confirmed": False}, {**PACKAGE, "confirmed": 1}, "nonsense"]
)
async def test_path_that_is_not_confirmed_is_compared_with_the_derivation(
    derivations: dict[str, dict[str, str]], row: object
) -> None:
    derivations[DERIVATION] = {"out": PATH.replace("tool", "other")}
    kept = Kept([CONFIRMED, row], [PACKAGE, PACKAGE])

    results = await expressions(kept).evaluate(READ_ONLY, ["tool", "odd"], explain=False)

    for result in results:
        assert isinstance(result, Failed)
        assert result.message == "its outPath is not an output of its derivation"
    assert kept.is_readable(READ_ONLY)


@pytest.mark.usefixtures("derivations")
async def test_set_that_does_not_evaluate_read_only_is_evaluated_with_derivations() -> None:
    kept = Kept(None, [PACKAGE])
    error = EvaluationFailed("path '/nix/store/x' is not valid")

    [package] = await expressions(kept, error=error).evaluate(READ_ONLY, ["tool"], explain=False)

    assert isinstance(package, Found)
    assert not kept.is_readable(READ_ONLY)


async def test_incomplete_response_of_a_read_only_process_is_replaced() -> None:
    kept = Kept(RequestFailed(), [UNKNOWN])

    assert await expressions(kept).evaluate(READ_ONLY, ["none"], explain=False) == (NotFound(),)


async def test_limit_of_a_read_only_evaluation_is_not_exceeded_twice() -> None:
    kept = Kept(None, [UNKNOWN])

    with pytest.raises(EvaluationStopped):
        await expressions(kept, error=EvaluationStopped("stopped")).evaluate(
            READ_ONLY, ["none"], explain=False
        )

    assert kept.is_readable(READ_ONLY)


async def test_reason_is_never_that_of_a_read_only_evaluation() -> None:
    error = EvaluationFailed("path '/nix/store/x' is not valid")

    assert await expressions(Kept(), NONE, error).evaluate(READ_ONLY, ["x"], explain=True) == (
        NotFound(),
    )

"""The kinds of attributes, from a kept process or from the events of a new one."""

from collections.abc import Callable

import pytest

from app.builder.nix.door import (
    Attribute,
    AttributeScan,
    Evaluation,
    EvaluationStopped,
    InputUnreachable,
)
from app.builder.nix.programs.attributes import AttributeReader
from app.builder.nix.programs.session import RequestFailed
from app.errors import EvaluationFailed
from app.system.process import Finished, OutOfTime, ProgramMissing
from app.system.workers import Workers
from tests.unit.builder.nix.programs.evaluations import EVALUATION, Kept, finished

EVENTS = """trace: m ["names", ["a", "b", "c"]]
trace: m [0]
trace: m [0, "package"]
trace: other [1, "package"]
trace: m [1]
trace: m [1, "packages", ["x", "y"]]
trace: m nonsense
trace: m [2]
"""
LISTED = (Attribute(0, "package"), Attribute(1, "packages", ("x", "y")))
Make = Callable[..., AttributeReader]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a reader; ``ended`` is how a new process ends."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "m")

    def make(kept: Kept, ended: Finished | Exception | None = None) -> AttributeReader:
        async def start(
            kind: str,
            expression: str,
            evaluation: Evaluation,
            request: dict[str, object],
            tail: int,
        ) -> Finished:
            assert (kind, expression) == ("list", "list-attributes.nix")
            assert evaluation == EVALUATION
            assert {"marker", "start", "only", "within"} == request.keys()
            assert tail > 0
            if ended is None:
                raise AssertionError("no process is needed")
            if isinstance(ended, Exception):
                raise ended
            return ended

        return AttributeReader(evaluators=kept, start=start, workers=Workers(1))

    return make


async def test_events_are_read_to_the_end(reader: Make) -> None:
    end = finished(stderr=EVENTS + 'trace: m [2, "other"]\n')

    looked = await reader(Kept(), end).scan(EVALUATION, start=0, only=None)

    assert looked == AttributeScan(("a", "b", "c"), (*LISTED, Attribute(2, "other")))


async def test_attribute_that_ends_the_evaluation_is_known(reader: Make) -> None:
    end = finished(stderr=f"{EVENTS}error: out of order\n", code=1)

    looked = await reader(Kept(), end).scan(EVALUATION, start=0, only=None)

    assert looked.attributes == LISTED
    assert looked.failed_at == 2
    assert str(looked.failure) == "out of order"


async def test_end_between_two_attributes_is_that_of_the_next(reader: Make) -> None:
    events = EVENTS.removesuffix("trace: m [2]\n")

    looked = await reader(Kept(), OutOfTime("60 s", events.encode())).scan(
        EVALUATION, start=0, only=None
    )

    assert looked.failed_at == 2
    assert isinstance(looked.failure, EvaluationStopped)


async def test_failure_before_any_attribute_is_that_of_the_set(reader: Make) -> None:
    end = finished(stderr="error: syntax error\n", code=1)

    with pytest.raises(EvaluationFailed, match="syntax error"):
        await reader(Kept(), end).scan(EVALUATION, start=0, only=None)


async def test_unreachable_input_ends_the_list(reader: Make) -> None:
    message = "error: unable to download 'http://x/y': HTTP error 503\n"

    with pytest.raises(InputUnreachable):
        await reader(Kept(), finished(stderr=EVENTS + message, code=1)).scan(
            EVALUATION, start=0, only=None
        )


async def test_kinds_come_from_a_kept_process(reader: Make) -> None:
    kept = Kept(["package", "other"])

    looked = await reader(kept).scan(EVALUATION, start=0, only=["a", "b"])

    assert looked == AttributeScan((), (Attribute(0, "package"), Attribute(1, "other")))
    assert kept.requests == [("kinds", "a", "b")]


async def test_name_that_fails_in_a_kept_process_is_not_a_package(reader: Make) -> None:
    kept = Kept(RequestFailed(), ["package"], RequestFailed(), None)

    looked = await reader(kept).scan(EVALUATION, start=0, only=["a", "b", "c"])

    assert [one.kind for one in looked.attributes] == ["package", "other", "other"]


@pytest.mark.parametrize("row", [None, ProgramMissing("nix")])
async def test_new_process_looks_where_none_is_kept(
    reader: Make, row: ProgramMissing | None
) -> None:
    looked = await reader(Kept(row), finished(stderr='trace: m [0]\ntrace: m [0, "set"]\n')).scan(
        EVALUATION, start=0, only=["a"]
    )

    assert looked.attributes == (Attribute(0, "set"),)


async def test_time_limit_of_a_kept_process_is_reported(reader: Make) -> None:
    with pytest.raises(EvaluationStopped):
        await reader(Kept(OutOfTime("60 s", b""))).scan(EVALUATION, start=0, only=["a"])


@pytest.mark.parametrize(
    ("row", "names"), [([["x", "y"]], ("x", "y")), ([None], ()), (RequestFailed(), ())]
)
async def test_names_within_a_set_come_from_a_kept_process(
    reader: Make, row: list[object] | Exception, names: tuple[str, ...]
) -> None:
    assert await reader(Kept(row)).names_within(EVALUATION, "set") == names


@pytest.mark.parametrize(("printed", "names"), [('["x"]', ("x",)), ("null", ())])
async def test_names_within_a_set_are_printed_by_a_new_process(
    reader: Make, printed: str, names: tuple[str, ...]
) -> None:
    assert await reader(Kept(), finished(printed)).names_within(EVALUATION, "set") == names


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        (OutOfTime("60 s", b""), EvaluationStopped),
        (finished(stderr="error: out of order\n", code=1), EvaluationFailed),
    ],
)
async def test_failure_of_a_new_process_is_reported(
    reader: Make, ended: Finished | Exception, error: type[EvaluationFailed]
) -> None:
    with pytest.raises(error):
        await reader(Kept(), ended).names_within(EVALUATION, "set")

"""What the attributes of a package set are, read from the evaluator or a process of its own."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from app.builder.nix.door import Attribute, Evaluation, InputUnreachable, Kind, Looked
from app.builder.nix.programs import output as replies
from app.builder.nix.programs.repl_pool import QuestionFailed, ReplPool
from app.builder.nix.programs.request import OUTPUT
from app.errors import EvaluationFailed
from app.system.blocking import blocking
from app.system.process import Finished, LimitExceeded, ProgramMissing
from app.system.workers import Workers

_EXPRESSION = "list-attributes.nix"
_Event = (
    tuple[Literal["names"], tuple[str, ...]]
    | tuple[int]
    | tuple[int, Kind]
    | tuple[int, Kind, tuple[str, ...]]
)
_EVENT: TypeAdapter[_Event] = TypeAdapter(_Event)
_KINDS: TypeAdapter[list[Kind]] = TypeAdapter(list[Kind])
_NAMES: TypeAdapter[tuple[str, ...] | None] = TypeAdapter(tuple[str, ...] | None)

Start = Callable[[str, str, Evaluation, dict[str, object], int], Awaitable[Finished]]


class AttributeReader:
    """``start`` evaluates an expression in a process of its own."""

    def __init__(self, *, evaluators: ReplPool, start: Start, workers: Workers) -> None:
        self._evaluators = evaluators
        self._start = start
        self._workers = workers

    async def look(
        self, evaluation: Evaluation, *, start: int, only: Sequence[str] | None
    ) -> Looked:
        """See ``Nix.look``."""
        if only is not None and start == 0:
            kinds = await self._kinds(evaluation, only)
            if kinds is not None:
                return Looked(
                    (), tuple(Attribute(number, kind) for number, kind in enumerate(kinds))
                )
        marker = secrets.token_hex(16)
        request = {
            "marker": marker,
            "start": start,
            "only": None if only is None else list(only),
            "within": None,
        }
        failure = None
        try:
            finished = await self._start("list", _EXPRESSION, evaluation, request, OUTPUT)
            stderr = finished.stderr
            if finished.code != 0:
                failure = _lasting(replies.evaluation_failure(finished, evaluation))
        except LimitExceeded as error:
            stderr = error.tail
            failure = replies.limit_exceeded(error, evaluation)
        looked = await self._workers.run(parse, stderr, marker, failure)
        if failure is not None and looked.failure is None:
            raise failure
        return looked

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        """See ``Nix.names_within``."""
        try:
            rows = await self._ask(evaluation, [name], "inner")
        except QuestionFailed:
            return ()
        if rows is not None:
            return _NAMES.validate_python(rows[0]) or ()
        request = {"marker": "", "start": 0, "only": None, "within": name}
        try:
            finished = await self._start("list", _EXPRESSION, evaluation, request, OUTPUT)
        except LimitExceeded as error:
            raise replies.limit_exceeded(error, evaluation) from None
        if finished.code != 0:
            raise replies.evaluation_failure(finished, evaluation)
        return _NAMES.validate_python(replies.document(finished.stdout)) or ()

    async def _kinds(self, evaluation: Evaluation, names: Sequence[str]) -> list[Kind] | None:
        """Ask the evaluator; None if it does not answer all."""
        try:
            rows = await self._ask(evaluation, names, "kinds")
            return None if rows is None else _KINDS.validate_python(rows)
        except QuestionFailed:
            if len(names) == 1:
                return ["other"]
        found = [await self._kinds(evaluation, [name]) for name in names]
        return [kinds[0] if kinds else "other" for kinds in found]

    async def _ask(
        self, evaluation: Evaluation, names: Sequence[str], function: str
    ) -> list[object] | None:
        try:
            return await self._evaluators.ask(evaluation, names, function)
        except LimitExceeded as error:
            raise replies.limit_exceeded(error, evaluation) from None
        except ProgramMissing:
            return None  # the process that is started instead reports it


def _lasting(failure: EvaluationFailed | InputUnreachable) -> EvaluationFailed:
    """Raises InputUnreachable: what was listed until then is not what the set has."""
    if isinstance(failure, InputUnreachable):
        raise failure
    return failure


@blocking
def parse(stderr: bytes, marker: str, failure: EvaluationFailed | None) -> Looked:
    """The events of nix/list-attributes.nix that carry the marker."""
    prefix = re.compile(rf"(?:^|\n)trace: {marker} ([^\n]*)(?=\n)")
    names: tuple[str, ...] = ()
    attributes: list[Attribute] = []
    begun = -1
    for found in prefix.finditer(stderr.decode(errors="replace")):
        match _event(found[1]):
            case ("names", listed):
                names = tuple(listed)
            case (int(number),):
                begun = number
            case (int(number), str(kind), *inner):
                attributes.append(Attribute(number, kind, *inner))
            case None:
                pass  # the package set knows no marker, so this is damaged
    ended = bool(attributes) and attributes[-1].number == begun
    if failure is None or begun < 0:
        return Looked(names, tuple(attributes))
    return Looked(names, tuple(attributes), begun + ended, failure)


def _event(text: str) -> _Event | None:
    try:
        return _EVENT.validate_python(json.loads(text))
    except (ValueError, ValidationError, RecursionError):
        return None

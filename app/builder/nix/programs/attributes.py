"""Find out what the attributes of a package set are: packages, sets or other values."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.builder.nix.door import Attribute, AttributeScan, Evaluation, InputUnreachable, Kind
from app.builder.nix.programs import output
from app.builder.nix.programs.repl_pool import ReplPool
from app.builder.nix.programs.request import OUTPUT
from app.builder.nix.programs.session import RequestFailed
from app.errors import EvaluationFailed
from app.system.blocking import blocking
from app.system.process import Finished, LimitExceeded, ProgramNotStarted
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

T = TypeVar("T")
Start = Callable[[str, str, Evaluation, dict[str, object], int], Awaitable[Finished]]


class AttributeReader:
    """Reads the kinds of attributes, in a kept process where possible.

    ``start`` evaluates an expression in a new process.
    """

    def __init__(self, *, evaluators: ReplPool, start: Start, workers: Workers) -> None:
        self._evaluators = evaluators
        self._start = start
        self._workers = workers

    async def scan(
        self, evaluation: Evaluation, *, start: int, only: Sequence[str] | None
    ) -> AttributeScan:
        """See ``Nix.scan``."""
        if only is not None and start == 0:
            kinds = await self._kinds(evaluation, only)
            if kinds is not None:
                return AttributeScan(
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
                failure = _lasting(output.evaluation_failure(finished, evaluation))
        except LimitExceeded as error:
            stderr = error.tail
            failure = output.limit_exceeded(error, evaluation)
        scan = await self._workers.run(parse, stderr, marker, failure)
        if failure is not None and scan.failure is None:
            raise failure
        return scan

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        """See ``Nix.names_within``."""
        try:
            names = await self._request(evaluation, [name], _names, "inner")
        except RequestFailed:
            return ()
        if names is not None:
            return names
        request = {"marker": "", "start": 0, "only": None, "within": name}
        try:
            finished = await self._start("list", _EXPRESSION, evaluation, request, OUTPUT)
        except LimitExceeded as error:
            raise output.limit_exceeded(error, evaluation) from None
        if finished.code != 0:
            raise output.evaluation_failure(finished, evaluation)
        document = await self._workers.run(output.parse_document, finished.stdout)
        return _NAMES.validate_python(document) or ()

    async def _kinds(self, evaluation: Evaluation, names: Sequence[str]) -> list[Kind] | None:
        """Return the kinds as a kept process finds them; None if a new process is needed."""
        try:
            return await self._request(evaluation, names, _KINDS.validate_python, "kinds")
        except RequestFailed:
            if len(names) == 1:
                return ["other"]
        found = [await self._kinds(evaluation, [name]) for name in names]
        return [kinds[0] if kinds else "other" for kinds in found]

    async def _request(
        self,
        evaluation: Evaluation,
        names: Sequence[str],
        read: Callable[[list[object]], T],
        function: str,
    ) -> T | None:
        try:
            running = self._evaluators.running(evaluation)
            return await self._evaluators.request(running, names, read, function)
        except LimitExceeded as error:
            raise output.limit_exceeded(error, evaluation) from None
        except ProgramNotStarted:
            return None  # the new process reports it


def _names(rows: list[object]) -> tuple[str, ...]:
    return _NAMES.validate_python(rows[0]) or ()


def _lasting(failure: EvaluationFailed | InputUnreachable) -> EvaluationFailed:
    """Raise InputUnreachable in place of returning it: the list is incomplete then."""
    if isinstance(failure, InputUnreachable):
        raise failure
    return failure


@blocking
def parse(stderr: bytes, marker: str, failure: EvaluationFailed | None) -> AttributeScan:
    """Parse the events of nix/list-attributes.nix, which carry the marker."""
    prefix = re.compile(rf"(?:^|\n)trace: {marker} ([^\n]*)(?=\n)")
    names: tuple[str, ...] = ()
    attributes: list[Attribute] = []
    started = -1
    for found in prefix.finditer(stderr.decode(errors="replace")):
        match _event(found[1]):
            case ("names", listed):
                names = tuple(listed)
            case (int(number),):
                started = number
            case (int(number), str(kind), *inner):
                attributes.append(Attribute(number, kind, *inner))
            case None:
                pass  # only a damaged line: package sets do not know the marker
    ended = bool(attributes) and attributes[-1].number == started
    if failure is None or started < 0:
        return AttributeScan(names, tuple(attributes))
    return AttributeScan(names, tuple(attributes), started + ended, failure)


def _event(text: str) -> _Event | None:
    try:
        return _EVENT.validate_python(json.loads(text))
    except (ValueError, ValidationError, RecursionError):
        return None

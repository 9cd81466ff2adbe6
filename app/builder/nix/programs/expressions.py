"""Evaluate the names of packages with the expressions in ``nix/``.

A read-only evaluation counts if it confirms the path of each package.  In all other cases the names
are evaluated again with derivation files, which have the outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from app.builder.nix.door import Evaluation, EvaluationStopped, OneOfManyFailed
from app.builder.nix.programs import output
from app.builder.nix.programs.claims import check_claims, check_each_claim
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.programs import unavailable
from app.builder.nix.programs.repl_pool import ReplPool
from app.builder.nix.programs.session import RequestFailed
from app.builder.nix.results import EvaluationResult
from app.errors import EvaluationFailed
from app.system.blocking import blocking
from app.system.process import OutOfTime, ProgramNotStarted
from app.system.workers import Workers


class _Checked(NamedTuple):
    """Results with their claims checked.

    ``results`` is None if the path of a package cannot be checked.
    """

    results: tuple[EvaluationResult, ...] | None


class Expressions:
    """Evaluates in a kept process first, and in a process of its own where that fails."""

    def __init__(
        self, *, processes: ExpressionProcesses, evaluators: ReplPool, workers: Workers
    ) -> None:
        self._processes = processes
        self._evaluators = evaluators
        self._workers = workers

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool
    ) -> tuple[EvaluationResult, ...]:
        """See ``Nix.evaluate``.  The path of each package is that of its derivation's output."""
        if self._evaluators.is_readable(evaluation) and not explain:
            results = await self._read_only(evaluation, names)
            if results is not None:
                return results
        if evaluation.read_only:
            evaluation = replace(evaluation, read_only=False)
        try:
            kept = None if explain else await self._from_kept_process(evaluation, names, _checked)
        except RequestFailed:
            if len(names) > 1:
                raise OneOfManyFailed("one of several names does not evaluate") from None
            kept = None
        if kept is not None:
            if kept.results is not None:
                return kept.results
            # A process does not write again a derivation that it wrote before it was deleted.
            await self._evaluators.invalidate()
        rows = await self._from_new_process(evaluation, names, explain=explain)
        return await self._workers.run(_checked_each, rows)

    async def _read_only(
        self, evaluation: Evaluation, names: Sequence[str]
    ) -> tuple[EvaluationResult, ...] | None:
        """Return None if derivation files are needed; raises EvaluationStopped, InputUnreachable."""
        try:
            confirmed = await self._from_kept_process(evaluation, names, _confirmed)
        except RequestFailed:
            return None
        if confirmed is None and self._evaluators.is_readable(evaluation):
            try:
                rows = await self._from_new_process(evaluation, names)
            except EvaluationStopped:
                raise
            except EvaluationFailed:
                self._evaluators.set_unreadable(evaluation)
                return None
            confirmed = await self._workers.run(_confirmed, rows)
        return confirmed.results if confirmed else None

    async def _from_new_process(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> list[object]:
        printed = await self._processes.evaluate(
            "evaluate",
            "evaluate.nix",
            evaluation,
            {"names": list(names), "explain": explain},
        )
        rows = await self._workers.run(output.parse_rows, printed, len(names))
        if rows is None:
            raise EvaluationFailed(f"unexpected output from the evaluation of {evaluation.source}")
        return rows

    async def _from_kept_process(
        self,
        evaluation: Evaluation,
        names: Sequence[str],
        read: Callable[[Sequence[object]], _Checked],
    ) -> _Checked | None:
        """Return None if a new process is needed; raises RequestFailed, EvaluationStopped."""
        try:
            return await self._evaluators.request(evaluation, names, read)
        except OutOfTime as error:
            raise output.limit_exceeded(error, evaluation) from None
        except ProgramNotStarted as error:
            raise unavailable(error) from None


@blocking
def _confirmed(rows: Sequence[object]) -> _Checked:
    """Take the paths that a read-only evaluation confirms (nix/answers.nix)."""
    return _Checked(tuple(map(output.result, rows)) if all(map(_is_confirmed, rows)) else None)


def _is_confirmed(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    return row.get("confirmed") is True or row.get("status") != "package"


@blocking
def _checked(rows: Sequence[object]) -> _Checked:
    return _Checked(check_claims(tuple(map(output.result, rows))))


@blocking
def _checked_each(rows: Sequence[object]) -> tuple[EvaluationResult, ...]:
    return check_each_claim(tuple(map(output.result, rows)))

"""Questions to package sets, put to Nix by the expressions in ``nix/``."""

from collections.abc import Sequence

from app.builder.nix.door import Evaluation, OneOfManyFailed
from app.builder.nix.programs import output as replies
from app.builder.nix.programs import outputs
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.programs import missing
from app.builder.nix.programs.repl_pool import QuestionFailed, ReplPool
from app.builder.nix.results import EvaluationResult
from app.errors import EvaluationFailed
from app.system.process import OutOfTime, ProgramMissing
from app.system.workers import Workers


class Expressions:
    """The evaluator that stays is asked first, and a process of its own if need be."""

    def __init__(
        self, *, processes: ExpressionProcesses, evaluators: ReplPool, workers: Workers
    ) -> None:
        self._processes = processes
        self._evaluators = evaluators
        self._workers = workers

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool
    ) -> tuple[EvaluationResult, ...]:
        """Of each package the derivation itself says whether it makes the package's path."""
        rows = None
        try:
            if not explain:
                rows = await self._ask_evaluator(evaluation, names)
        except QuestionFailed:
            if len(names) > 1:
                raise OneOfManyFailed("one of several names does not evaluate") from None
        if rows is not None:
            answers = await self._workers.run(outputs.checked, tuple(map(replies.answer, rows)))
            if answers is not None:
                return answers
            await self._evaluators.forget()  # they would not write a derivation again
        output = await self._processes.evaluate(
            "evaluate",
            "evaluate.nix",
            evaluation,
            {"names": list(names), "explain": explain},
        )
        found = replies.document(output)
        if not isinstance(found, list) or len(found) != len(names):
            raise EvaluationFailed(f"unexpected output from the evaluation of {evaluation.source}")
        return await self._workers.run(
            outputs.without_derivations, tuple(map(replies.answer, found))
        )

    async def _ask_evaluator(
        self, evaluation: Evaluation, names: Sequence[str]
    ) -> list[object] | None:
        """None if a process of its own is to be asked; raises QuestionFailed."""
        try:
            return await self._evaluators.ask(evaluation, names)
        except OutOfTime as error:
            raise replies.limit_exceeded(error, evaluation) from None
        except ProgramMissing as error:
            raise missing(error) from None

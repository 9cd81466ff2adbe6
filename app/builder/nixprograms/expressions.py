"""Questions to package sets, put to Nix by the expressions in ``nix/``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.builder.answers import Answer
from app.builder.nix import Evaluation, OneOfManyFailed
from app.builder.nixprograms import outputs, replies
from app.builder.nixprograms.evaluators import Evaluators, QuestionFailed
from app.builder.nixprograms.programs import Programs, missing
from app.builder.nixprograms.request import OPTIONS, OUTPUT, restriction, subject
from app.builder.running.environment import for_untrusted_evaluation
from app.builder.running.process import Finished, LimitExceeded, Limits, OutOfTime, ProgramMissing
from app.builder.running.workers import Workers
from app.errors import EvaluationFailed

_EVALUATION_TAIL = 1024 * 1024  # an error may be long, and its beginning is what counts


class Expressions:
    """``directory`` has evaluate.nix; ``options`` are Nix's arguments for every evaluation."""

    def __init__(
        self,
        *,
        directory: Path,
        programs: Programs,
        evaluators: Evaluators,
        workers: Workers,
        options: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._directory = directory
        self._programs = programs
        self._evaluators = evaluators
        self._workers = workers
        self._options = options
        # Evaluations of trusted sources fetch with the operator's tokens; nothing else needs them.
        self._environment = environment
        self._untrusted_environment = for_untrusted_evaluation(environment)

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool
    ) -> tuple[Answer, ...]:
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
        output = await self._evaluate(
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

    async def _evaluate(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: dict[str, object],
    ) -> bytes:
        try:
            finished = await self.start(kind, expression, evaluation, request, _EVALUATION_TAIL)
        except LimitExceeded as error:
            raise replies.limit_exceeded(error, evaluation) from None
        if finished.code == 0:
            return finished.stdout
        raise replies.evaluation_failure(finished, evaluation)

    async def start(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: dict[str, object],
        tail: int,
    ) -> Finished:
        """Evaluate an expression; its request is data, never Nix text.  Raises LimitExceeded."""
        body = json.dumps({**subject(evaluation), **request})
        command = [
            "nix-instantiate",
            "--eval",
            "--strict",
            "--json",
            "--read-write-mode",
            str(self._directory / expression),
            "--argstr",
            "request",
            body,
            *self._options,
            *(
                restriction(self._directory, evaluation.package_set)
                if evaluation.restricted
                else OPTIONS
            ),
        ]
        limits = Limits(
            seconds=evaluation.seconds,
            memory=evaluation.memory,
            output=OUTPUT,
            tail=tail,
        )
        environment = self._untrusted_environment if evaluation.restricted else self._environment
        return await self._programs.run(kind, command, limits, environment=environment)

"""Evaluate the server's own expressions about a package set, each in a process of its own."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.builder.nix.door import Evaluation
from app.builder.nix.programs import output as replies
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import OUTPUT, options, subject, variables
from app.system.environment import for_untrusted_evaluation
from app.system.process import Finished, LimitExceeded, Limits

_TAIL = 1024 * 1024  # an error may be long, and its beginning is what counts


class ExpressionProcesses:
    """``directory`` has the expressions; ``settings`` are words for every command of Nix's."""

    def __init__(
        self,
        *,
        programs: Programs,
        directory: Path,
        environment: Mapping[str, str],
        settings: Sequence[str],
    ) -> None:
        self._programs = programs
        self._directory = directory
        # Evaluations of trusted sources fetch with the operator's tokens; nothing else needs them.
        self._environment = environment
        self._untrusted_environment = for_untrusted_evaluation(environment)
        self._settings = tuple(settings)

    async def evaluate(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: Mapping[str, object],
    ) -> bytes:
        """Return what the expression prints; its request is data, never Nix text.

        Raises EvaluationFailed, SourceUnavailable, Unavailable.
        """
        try:
            finished = await self.start(kind, expression, evaluation, request, _TAIL)
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
        request: Mapping[str, object],
        tail: int,
    ) -> Finished:
        """The same, whatever the exit code; ``tail`` bytes of standard error are kept.

        Raises LimitExceeded, Unavailable.
        """
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
            *options(evaluation, self._directory),
        ]
        return await self._run(kind, command, evaluation, tail)

    async def run(self, kind: str, command: Sequence[str], evaluation: Evaluation) -> bytes:
        """Return what a command of Nix's prints, within the limits of the evaluation.

        Raises EvaluationFailed, SourceUnavailable, Unavailable.
        """
        try:
            finished = await self._run(kind, command, evaluation, _TAIL)
        except LimitExceeded as error:
            raise replies.limit_exceeded(error, evaluation) from None
        if finished.code == 0:
            return finished.stdout
        raise replies.evaluation_failure(finished, evaluation)

    async def _run(
        self, kind: str, command: Sequence[str], evaluation: Evaluation, tail: int
    ) -> Finished:
        environment = self._untrusted_environment if evaluation.restricted else self._environment
        limits = Limits(
            seconds=evaluation.seconds, memory=evaluation.memory, output=OUTPUT, tail=tail
        )
        return await self._programs.run(
            kind,
            [*command, *self._settings],
            limits,
            environment={**environment, **variables(evaluation, self._directory)},
        )

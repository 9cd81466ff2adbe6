"""Evaluate the server's expressions about a package set, each in a new process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.builder.nix.door import Evaluation
from app.builder.nix.programs import output
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import (
    OUTPUT,
    READ_ONLY,
    READ_WRITE,
    fetching,
    options,
    subject,
    variables,
)
from app.system.process import Finished, LimitExceeded, Limits

_TAIL = 1024 * 1024  # an error may be long, and its start is what counts


class ExpressionProcesses:
    """Starts Nix for single evaluations.

    ``directory`` has the expressions; ``settings`` are arguments for every command.
    """

    def __init__(
        self,
        *,
        programs: Programs,
        directory: Path,
        configuration: NixConfiguration,
        settings: Sequence[str],
    ) -> None:
        self._programs = programs
        self._directory = directory
        self._configuration = configuration
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
            raise output.limit_exceeded(error, evaluation) from None
        if finished.code == 0:
            return finished.stdout
        raise output.evaluation_failure(finished, evaluation)

    async def start(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: Mapping[str, object],
        tail: int,
    ) -> Finished:
        """Evaluate, with any exit code; the last ``tail`` bytes of standard error are kept.

        Raises LimitExceeded, Unavailable.
        """
        read_only = {"read_only": evaluation.read_only}
        body = json.dumps({**subject(evaluation), **read_only, **request})
        command = [
            *(READ_ONLY if evaluation.read_only else READ_WRITE),
            "--json",
            str(self._directory / expression),
            "--argstr",
            "request",
            body,
            *self._settings,
            *options(evaluation, self._directory),
        ]
        return await self._run(kind, command, evaluation, tail)

    async def run(self, kind: str, command: Sequence[str], evaluation: Evaluation) -> bytes:
        """Return what a command prints, within the limits of the evaluation.

        Raises EvaluationFailed, SourceUnavailable, Unavailable.
        """
        # The last value of an option counts: the wait for a silent host ends before the time limit.
        limited = [*command, *self._settings, *fetching(evaluation)]
        try:
            finished = await self._run(kind, limited, evaluation, _TAIL)
        except LimitExceeded as error:
            raise output.limit_exceeded(error, evaluation) from None
        if finished.code == 0:
            return finished.stdout
        raise output.evaluation_failure(finished, evaluation)

    async def _run(
        self, kind: str, command: Sequence[str], evaluation: Evaluation, tail: int
    ) -> Finished:
        environment = await self._configuration.evaluation(restricted=evaluation.restricted)
        limits = Limits(
            seconds=evaluation.seconds, memory=evaluation.memory, output=OUTPUT, tail=tail
        )
        return await self._programs.run(
            kind,
            command,
            limits,
            environment={**environment, **variables(evaluation, self._directory)},
        )

"""Nix's own programs behind the door: a process for each question, but for what evaluators answer.

Works with Nix 2.8 and later, as root without a daemon or as anybody with one.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from app.builder.answers import Answer, Package
from app.builder.closure import Closure, StorePath
from app.builder.holds import Hold, Holds
from app.builder.nix import (
    DerivationsGone,
    Evaluation,
    Looked,
    OneOfManyFailed,
    Realisation,
)
from app.builder.nixprograms import pathinfo, replies
from app.builder.nixprograms.attributes import AttributeReader
from app.builder.nixprograms.buildlog import BuildLog
from app.builder.nixprograms.evaluators import Evaluators, QuestionFailed
from app.builder.nixprograms.request import (
    FEATURES,
    OPTIONS,
    OUTPUT,
    restriction,
    subject,
    substituters,
)
from app.builder.nixprograms.sentences import (
    evaluation_error,
    failure_text,
    missing_derivations,
)
from app.builder.running.environment import for_store, for_untrusted_evaluation
from app.builder.running.process import (
    Finished,
    LimitExceeded,
    Limits,
    OutOfSpace,
    OutOfTime,
    ProgramMissing,
    run,
)
from app.builder.running.workers import Workers
from app.errors import BuildFailed, BuildTimedOut, EvaluationFailed, PolicyRefused, Unavailable

_GRACE_SECONDS = 10  # for Nix to end its builders
_STORE_SECONDS = 60  # for questions to the store alone
_EVALUATION_TAIL = 1024 * 1024  # an error may be long, and its beginning is what counts
_VERSION = re.compile(r"(\d+)\.(\d+)")
_OLDEST = (2, 8)
_SANDBOX = re.compile(rb"^sandbox = (\w+)", re.MULTILINE)


class NixCommand:
    """``expressions`` is the directory with evaluate.nix; ``options`` are settings of Nix for
    every call.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        expressions: Path,
        holds: Holds,
        workers: Workers,
        options: Mapping[str, str],
    ) -> None:
        self.starts: Counter[str] = Counter()
        # Evaluations of trusted sources fetch with the operator's tokens; nothing else needs them.
        self._environment = environment
        self._store_environment = for_store(environment)
        self._untrusted_environment = for_untrusted_evaluation(environment)
        self._expressions = expressions
        self._holds = holds
        self._workers = workers
        self._options = tuple(
            word for name, value in options.items() for word in ("--option", name, value)
        )
        self.evaluators = Evaluators(
            command=("nix", "repl", "-I", f"nixery={expressions}", *self._options, *OPTIONS),
            environment=environment,
            starts=self.starts,
        )
        self._attributes = AttributeReader(
            evaluators=self.evaluators, start=self._start, workers=workers
        )

    async def version(self) -> str:
        """As Nix prints it; raises Unavailable if there is no Nix, or one too old."""
        finished = await self._run("version", ["nix", "--version"], Limits(seconds=_STORE_SECONDS))
        version = finished.stdout.decode(errors="replace").strip()
        number = _VERSION.search(version)
        if number is None or (int(number[1]), int(number[2])) < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            raise Unavailable(f"Nix {wanted} or later is needed, and this is {version or 'none'}")
        return version

    async def sandboxed(self) -> bool:
        """Whether builds see no more than what they declare; raises Unavailable."""
        for command in (["config", "show"], ["show-config"]):  # by its new name and its old
            finished = await self._run(
                "version", ["nix", *command, *FEATURES], Limits(seconds=_STORE_SECONDS)
            )
            found = _SANDBOX.search(finished.stdout)
            if found:
                return found[1] != b"false"
        return False

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[Answer, ...]:
        rows: object = None
        try:
            if not explain:
                rows = await self._ask_evaluator(evaluation, names)
        except QuestionFailed:
            if len(names) > 1:
                raise OneOfManyFailed("one of several names does not evaluate") from None
        if rows is None:
            output = await self._evaluate(
                "evaluate",
                "evaluate.nix",
                evaluation,
                {"names": list(names), "explain": explain},
            )
            rows = replies.document(output)
        if not isinstance(rows, list) or len(rows) != len(names):
            raise EvaluationFailed(f"{evaluation.source} gave an answer of another form")
        return tuple(map(replies.answer, rows))

    async def look(
        self, evaluation: Evaluation, *, start: int = 0, only: Sequence[str] | None = None
    ) -> Looked:
        return await self._attributes.look(evaluation, start=start, only=only)

    async def names_within(self, evaluation: Evaluation, name: str) -> tuple[str, ...]:
        return await self._attributes.names_within(evaluation, name)

    async def realise(
        self,
        packages: Sequence[Package],
        realisation: Realisation,
        *,
        hold: Hold,
        on_line: Callable[[str], None],
    ) -> None:
        wanted = sorted({(str(p.derivation), p.output, str(p.path)) for p in packages})
        await self._require([derivation for derivation, _, _ in wanted])
        targets = [f"{derivation}!{output}" for derivation, output, _ in wanted]
        options = [*self._options, *substituters(realisation.substituters)]
        if not realisation.build:
            await self._refuse_builds(targets, options, realisation)
        log = BuildLog(on_line)
        command = ["nix-store", "--realise", *targets, "--add-root", str(hold.next_root())]
        try:
            finished = await self._run(
                "realise",
                [*command, "--log-format", "internal-json", *options],
                Limits(seconds=realisation.seconds, grace_seconds=_GRACE_SECONDS),
                on_line=log.hear,
            )
        except OutOfTime:
            building = f" while building {log.building[0]}" if log.building else ""
            raise BuildTimedOut(
                f"stopped after the {realisation.seconds:g} s that builds of source"
                f" {realisation.source} may take (build_seconds){building}",
                {"derivations": list(log.building), "seconds": realisation.seconds},
            ) from None
        except OutOfSpace as error:
            raise BuildFailed(f"the build log grew beyond {error.limit}") from None
        if finished.code != 0:
            await self._require([derivation for derivation, _, _ in wanted])
            raise BuildFailed(
                failure_text(log, finished), derivation=log.failed, log=log.log(log.failed)
            )
        await self._check(wanted, hold)

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        if not paths:
            return Closure(())
        names = [str(path) for path in sorted(set(paths))]
        command = ["nix", "path-info", "--json", "--recursive", *names, *FEATURES]
        finished = await self._run(
            "closure", [*command, *self._options], Limits(seconds=_STORE_SECONDS)
        )
        if finished.code != 0:
            raise Unavailable(f"Nix does not know a closure: {evaluation_error(finished.stderr)}")
        return await self._workers.run(pathinfo.parse, finished.stdout)

    def hold(self) -> AbstractAsyncContextManager[Hold]:
        return self._holds.open()

    async def close(self) -> None:
        await self.evaluators.close()

    async def _ask_evaluator(
        self, evaluation: Evaluation, names: Sequence[str]
    ) -> list[object] | None:
        """None if a process of its own is to be asked; raises QuestionFailed."""
        try:
            return await self.evaluators.ask(evaluation, names)
        except OutOfTime as error:
            raise replies.limit_exceeded(error, evaluation) from None
        except ProgramMissing as error:
            raise _missing(error) from None

    async def _evaluate(
        self,
        kind: str,
        expression: str,
        evaluation: Evaluation,
        request: dict[str, object],
    ) -> bytes:
        try:
            finished = await self._start(kind, expression, evaluation, request, _EVALUATION_TAIL)
        except LimitExceeded as error:
            raise replies.limit_exceeded(error, evaluation) from None
        if finished.code == 0:
            return finished.stdout
        raise replies.evaluation_failure(finished, evaluation)

    async def _start(
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
            str(self._expressions / expression),
            "--argstr",
            "request",
            body,
            *self._options,
            *(
                restriction(self._expressions, evaluation.package_set)
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
        return await self._run(kind, command, limits, environment=environment)

    async def _refuse_builds(
        self, targets: Sequence[str], options: Sequence[str], realisation: Realisation
    ) -> None:
        finished = await self._run(
            "plan",
            ["nix-store", "--realise", "--dry-run", *targets, *options],
            Limits(seconds=_STORE_SECONDS, tail=1024 * 1024),
        )
        missing = missing_derivations(finished.stderr)
        if missing:
            names = ", ".join(path.name.removesuffix(".drv") for path in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise PolicyRefused(
                f"source {realisation.source} only serves what a binary cache has"
                f" (build = false); not there: {names}{more}",
                {"derivations": [str(path) for path in missing]},
            )

    async def _require(self, derivations: Sequence[str]) -> None:
        gone = await self._workers.run(_absent, derivations)
        if gone:
            await self.evaluators.forget()  # they would not write it again
            raise DerivationsGone(gone[0])

    async def _check(self, wanted: Sequence[tuple[str, str, str]], hold: Hold) -> None:
        """A package set may claim any path; only what the derivation made counts."""
        made = {str(path) for path in await self._workers.run(hold.held)}
        for derivation, output, path in wanted:
            if path not in made:
                raise BuildFailed(f"{derivation} has no output {output} at {path}")

    async def _run(
        self,
        kind: str,
        command: Sequence[str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        self.starts[kind] += 1
        if environment is None:
            environment = self._store_environment
        try:
            return await run(command, environment=environment, limits=limits, on_line=on_line)
        except ProgramMissing as error:
            raise _missing(error) from None


def _missing(error: ProgramMissing) -> Unavailable:
    return Unavailable(
        f"Nix is not installed, there is no {error}: on Debian and Ubuntu run `apt-get install nix-bin`,"
        " elsewhere see nixos.org/download"
    )


def _absent(paths: Sequence[str]) -> list[str]:
    """Blocking."""
    return [path for path in paths if not Path(path).exists()]

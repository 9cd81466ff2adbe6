"""Prepare flakes for evaluation: copy them to the store once, and lock all of their inputs.

Every process that evaluates a flake from a directory copies it to the store, which takes tens of
seconds for nixpkgs.  A flake that is in the store already is not copied.

``builtins.getFlake`` of Nix 2.8 supports neither a directory below the flake's root nor a lock
file that lacks an input.  So such a flake becomes the only input of another flake, with a lock
file of its own.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.builder.nix.door import Evaluation, PackageSet
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.request import OPTIONS
from app.errors import EvaluationFailed
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.disk import translate_disk_errors
from app.system.single_flight import SingleFlight
from app.system.workers import Workers

_LIMIT = 64
_OUTER = """{
  inputs.target = { %s };
  outputs = inputs: { };
}
"""


@dataclass(frozen=True, slots=True)
class _Ready:
    package_set: PackageSet
    unpinned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Inputs:
    complete: bool
    unpinned: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    branches: tuple[tuple[str, str], ...]
    dated: bool


class Flakes:
    """The flakes that are prepared for evaluation, each once."""

    def __init__(self, *, processes: ExpressionProcesses, workers: Workers) -> None:
        self._processes = processes
        self._workers = workers
        self._ready: Cache[PackageSet, _Ready] = Cache(_LIMIT)
        self._flights: SingleFlight[PackageSet, _Ready] = SingleFlight()

    async def prepared(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation of the flake's copy in the store.

        Raises EvaluationFailed, SourceUnavailable, Unavailable.
        """
        if evaluation.package_set.flake is None:
            return evaluation
        ready = await self._make_ready(evaluation)
        return replace(evaluation, package_set=ready.package_set)

    async def unpinned(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Return the inputs that are not pinned.  Raises the errors of ``prepared``."""
        if evaluation.package_set.flake is None:
            return ()
        return (await self._make_ready(evaluation)).unpinned

    async def _make_ready(self, evaluation: Evaluation) -> _Ready:
        key = evaluation.package_set
        ready = self._ready.get(key)
        if ready is None or not await self._workers.run(_exists, ready.package_set):
            ready = await self._flights.run(key, lambda: self._make(evaluation))
            self._ready[key] = ready
        return ready

    async def _make(self, evaluation: Evaluation) -> _Ready:
        package_set = evaluation.package_set
        flake = package_set.flake
        assert flake is not None, package_set
        stored = await self._add(evaluation, Path(package_set.reference))
        with _naming_lock_file():
            inputs = await self._inputs(evaluation, stored / flake.directory)
        flake = replace(flake, places=inputs.places, branches=inputs.branches)
        evaluation = replace(evaluation, package_set=replace(package_set, flake=flake))
        if flake.directory or not inputs.complete:
            with _naming_lock_file():
                outer = await self._wrap(evaluation, stored, dated=inputs.dated)
            reference, wrapped = f"path:{outer}", True
        else:
            date = f"&lastModified={flake.date}" if inputs.dated else ""
            reference, wrapped = f"path:{stored}?rev={flake.commit}{date}", False
        made = replace(package_set, reference=reference, flake=replace(flake, wrapped=wrapped))
        return _Ready(made, inputs.unpinned)

    async def _add(self, evaluation: Evaluation, directory: Path) -> Path:
        """Add the directory to the store; return the path that Nix itself would copy it to."""
        command = ["nix-store", "--add", str(directory)]
        printed = await self._processes.run("add", command, evaluation)
        return Path(printed.decode().strip())

    async def _inputs(self, evaluation: Evaluation, directory: Path) -> "_Inputs":
        printed = await self._processes.evaluate(
            "inputs", "flake-inputs.nix", evaluation, {"flake": str(directory)}
        )
        document = await self._workers.run(json.loads, printed)
        return _Inputs(
            complete=bool(document["complete"]),
            unpinned=tuple(map(str, document["unpinned"])),
            places=_places(document["places"]),
            branches=_places(document["branches"]),
            dated=bool(document["dated"]),
        )

    async def _wrap(self, evaluation: Evaluation, stored: Path, *, dated: bool) -> Path:
        """Return the store path of a flake with the stored one as its input, all inputs locked."""
        flake = evaluation.package_set.flake
        assert flake is not None, evaluation
        target: dict[str, str | int] = {
            "type": "path",
            "path": str(stored),
            "rev": flake.commit,
            **({"lastModified": flake.date} if dated else {}),
            **({"dir": flake.directory} if flake.directory else {}),
        }
        with _translate_temporary_errors():
            scratch = await self._workers.run(tempfile.TemporaryDirectory)
        try:
            outer = Path(scratch.name) / "source"
            with _translate_temporary_errors():
                await self._workers.run(_write, outer, _OUTER % _attributes(target))
            command = ["nix", "flake", "lock", f"path:{outer}", *OPTIONS]
            await self._processes.run("lock", command, evaluation)
            return await self._add(evaluation, outer)
        finally:
            await asyncio.shield(self._workers.run(scratch.cleanup))


def _translate_temporary_errors() -> AbstractContextManager[None]:
    return translate_disk_errors("the server's temporary directory")


@contextmanager
def _naming_lock_file() -> Iterator[None]:
    """Name the only JSON that is read before a flake is evaluated."""
    try:
        yield
    except EvaluationFailed as error:
        if not error.message.startswith("[json.exception."):
            raise
        raise type(error)(f"its flake.lock is invalid: {error.message}") from None


def _places(rows: Iterable[Mapping[str, object]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(row["name"]), str(row["place"])) for row in rows)


def _attributes(values: dict[str, str | int]) -> str:
    """Return Nix text: a flake's inputs are literals, and no value has a quote or a dollar."""
    return " ".join(f"{name} = {json.dumps(value)};" for name, value in values.items())


@blocking
def _exists(package_set: PackageSet) -> bool:
    """Return whether the garbage collector has left the flake in the store."""
    path = package_set.reference.removeprefix("path:").partition("?")[0]
    return Path(path).exists()


@blocking
def _write(directory: Path, flake: str) -> None:
    directory.mkdir()
    (directory / "flake.nix").write_text(flake)

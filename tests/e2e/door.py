"""Nix, an evaluator and one source, as the server puts them together."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from app.builder.evaluation.evaluator import PackageEvaluator, Pinned
from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.door import Evaluation
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.results import EvaluationResult, Found
from app.builder.nix.roots import TemporaryRootsDirectory
from app.builder.sources.definition import SourceDefinition
from app.builder.sources.opening import Sources
from app.builder.sources.source import Source
from app.reference import Tag
from app.storage.base import Storage
from app.storage.memory import MemoryStorage
from app.system.environment import child_environment
from app.system.workers import Workers

PROJECT = Path(__file__).resolve().parents[2]
SETS = PROJECT / "tests" / "nix"
SMALL = SETS / "small"
SYSTEM = f"{os.uname().machine}-linux"
_DEFINITION: TypeAdapter[SourceDefinition] = TypeAdapter(SourceDefinition)


class AskedNix(NixCommand):
    """Remembers what it was asked, whatever process answered."""

    asked: list[tuple[str, ...]]

    async def evaluate(
        self, evaluation: Evaluation, names: Sequence[str], *, explain: bool = False
    ) -> tuple[EvaluationResult, ...]:
        self.asked.append(tuple(names))
        return await super().evaluate(evaluation, names, explain=explain)


@dataclass
class Door:
    nix: AskedNix
    evaluator: PackageEvaluator
    source: Source
    heard: list[str]

    async def pinned(self, tag: str = "latest") -> Pinned:
        return Pinned(self.source, await self.source.resolve(Tag(tag)), SYSTEM)

    async def packages(self, *names: str, tag: str = "latest") -> tuple[Found, ...]:
        pinned = await self.pinned(tag)
        found = await self.evaluator.available(pinned, names, (), Progress())
        return tuple(found[name] for name in names)

    async def package(self, name: str, tag: str = "latest") -> Found:
        (package,) = await self.packages(name, tag=tag)
        return package

    async def realise(self, *packages: Found) -> None:
        async with self.nix.temporary_roots() as roots:
            named = {package.attribute: package for package in packages}
            await self.evaluator.realise(
                await self.pinned(), named, roots=roots, on_line=self.heard.append
            )


MakeDoor = Callable[..., Door]


@asynccontextmanager
async def doors() -> AsyncIterator[MakeDoor]:
    """Makes doors, each in a state directory; they are closed at the end."""
    async with AsyncExitStack() as stack:
        yield partial(_door, stack)


def _door(
    stack: AsyncExitStack,
    state: Path,
    *,
    path: str | None = None,
    storage: Storage | None = None,
    **definition: object,
) -> Door:
    """Open the door; ``path`` replaces PATH, for another Nix or none."""
    environment = child_environment(os.environ, home=state / "home")
    environment["PATH"] = path or environment["PATH"]
    workers = Workers(2)
    nix = AskedNix(
        configuration=NixConfiguration(
            environment=environment, directory=state / "configuration", workers=workers
        ),
        expressions=PROJECT / "nix",
        roots=TemporaryRootsDirectory(directory=state / "roots", workers=workers),
        workers=workers,
        options={"build-users-group": ""} if os.geteuid() == 0 else {},
    )
    nix.asked = []
    stack.push_async_callback(nix.close)
    storage = storage or MemoryStorage()
    sources = Sources(directory=state, environment=environment, storage=storage, workers=workers)
    settings = {"name": "small", "kind": "path", "substituters": (), **definition}
    return Door(
        nix=nix,
        evaluator=PackageEvaluator(
            nix=nix,
            realiser=nix,
            results=EvaluationResultCache(storage=storage),
            queue=WorkQueue("evaluation", at_once=20, waiting=100, expected_seconds=1),
            is_listed=lambda _, __: False,
            is_ruled_out=lambda _, __: False,
        ),
        source=sources.open(_DEFINITION.validate_python(settings)),
        heard=[],
    )

"""What needs no Nix waits for no queue of Nix's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.results import EvaluationResult, NotAPackage, NotFound
from app.errors import PackagesUnknown, TooManyRequests
from app.storage.memory import MemoryStorage

SUBJECT: dict[str, object] = {"revision": "1"}


@dataclass
class Queued:
    """Answers that are asked for within a stage, as the evaluator asks."""

    stage: WorkQueue = field(
        default_factory=lambda: WorkQueue("evaluation", at_once=1, waiting=0, expected_seconds=1)
    )
    cache: EvaluationResultCache = field(
        default_factory=lambda: EvaluationResultCache(storage=MemoryStorage())
    )

    async def answers(self, *names: str) -> tuple[EvaluationResult, ...]:
        return await self.cache.results(
            SUBJECT, names, self._ask, _check, is_listed=lambda _: False
        )

    async def _ask(self, names: Sequence[str]) -> tuple[EvaluationResult, ...]:
        async with self.stage.slot(Progress()):
            return tuple(
                NotFound() if "unknown" in name else NotAPackage(attribute=name, kind="a set")
                for name in names
            )

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        end = asyncio.Event()

        async def occupy() -> None:
            async with self.stage.slot(Progress()):
                await end.wait()

        task = asyncio.create_task(occupy())
        await asyncio.sleep(0)
        yield
        end.set()
        await task


def _check(known: dict[str, EvaluationResult]) -> None:
    unknown = tuple(name for name, answer in known.items() if isinstance(answer, NotFound))
    if unknown:
        raise PackagesUnknown(unknown)


async def test_known_names_have_results_while_the_queue_is_full() -> None:
    queued = Queued()
    await queued.answers("a", "b")

    async with queued.full():
        assert len(await queued.answers("b", "a")) == 2
        with pytest.raises(TooManyRequests):
            await queued.answers("a", "new")


async def test_a_name_known_to_be_none_decides_while_the_queue_is_full() -> None:
    queued = Queued()
    await queued.answers("unknown")

    async with queued.full():
        with pytest.raises(PackagesUnknown):
            await queued.answers("unknown", "new")

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from app.builder.answers import Answer, Other, Raised, Unknown
from app.builder.evaluation.answermemory import AnswerMemory
from app.storage.memory import MemoryStorage

SUBJECT: dict[str, object] = {"revision": "tree:1"}


@dataclass
class Asked:
    """Answers as a package set without packages would, and keeps what it was asked."""

    names: list[tuple[str, ...]] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, names: Sequence[str]) -> tuple[Answer, ...]:
        self.names.append(tuple(names))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return tuple(
            Unknown() if name == "none" else Other(attribute=name, kind="a set") for name in names
        )


@pytest.fixture
def asked() -> Asked:
    asked = Asked()
    asked.gate.set()
    return asked


async def test_only_what_is_not_known_is_asked_all_at_once(asked: Asked) -> None:
    memory = AnswerMemory(storage=MemoryStorage())
    await memory.answers(SUBJECT, ["a", "none"], asked)

    found = await memory.answers(SUBJECT, ["c", "none", "a", "b"], asked)

    assert asked.names == [("a", "none"), ("c", "b")]
    assert found == (
        Other(attribute="c", kind="a set"),
        Unknown(),
        Other(attribute="a", kind="a set"),
        Other(attribute="b", kind="a set"),
    )


async def test_answers_outlive_the_process_and_belong_to_one_revision(asked: Asked) -> None:
    storage = MemoryStorage()
    await AnswerMemory(storage=storage).answers(SUBJECT, ["a"], asked)

    restarted = AnswerMemory(storage=storage)
    await restarted.answers(SUBJECT, ["a"], asked)
    await restarted.answers({"revision": "tree:2"}, ["a"], asked)

    assert asked.names == [("a",), ("a",)]


async def test_who_asks_the_same_meanwhile_waits_for_the_one_answer(asked: Asked) -> None:
    memory = AnswerMemory(storage=MemoryStorage())
    asked.gate.clear()
    first = asyncio.create_task(memory.answers(SUBJECT, ["a", "b"], asked))
    await asyncio.sleep(0)
    second = asyncio.create_task(memory.answers(SUBJECT, ["b", "c"], asked))
    await asyncio.sleep(0.01)
    asked.gate.set()

    await asyncio.gather(first, second)

    assert asked.names == [("a", "b"), ("c",)]


async def test_the_error_of_one_question_does_not_reach_another(asked: Asked) -> None:
    memory = AnswerMemory(storage=MemoryStorage())
    failing = Asked(error=ValueError("bad"))
    first = asyncio.create_task(memory.answers(SUBJECT, ["bad", "a"], failing))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(memory.answers(SUBJECT, ["a"], asked))
    await asyncio.sleep(0.01)
    failing.gate.set()

    with pytest.raises(ValueError, match="bad"):
        await first

    assert await second == (Other(attribute="a", kind="a set"),)


async def test_an_answer_that_may_pass_is_told_and_asked_for_again() -> None:
    memory = AnswerMemory(storage=MemoryStorage())
    times = 0

    async def ask(names: Sequence[str]) -> tuple[Answer, ...]:
        nonlocal times
        times += 1
        return tuple(Raised(message="out of time", passing=True) for _ in names)

    for _ in range(2):
        (answer,) = await memory.answers(SUBJECT, ["slow"], ask)
        assert answer == Raised(message="out of time", passing=True)

    assert times == 2

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from app.builder.evaluation import result_cache
from app.builder.evaluation.recent_failures import RecentFailures
from app.builder.evaluation.result_cache import EvaluationResultCache
from app.builder.nix.closure import StorePath
from app.builder.nix.results import (
    Ambiguous,
    EvaluationResult,
    Failed,
    Found,
    NotAPackage,
    NotFound,
    Validity,
)
from app.storage.memory import MemoryStorage
from app.storage.records.kind import key_of
from tests.waiting import turns, until

SUBJECT: dict[str, object] = {"revision": "tree:1"}
PATH = StorePath.parse("0" * 32 + "-x")


def listed(_: str) -> bool:
    return True


def unlisted(_: str) -> bool:
    return False


def package(attribute: str) -> Found:
    return Found(
        attribute=attribute,
        derivation=StorePath(f"{PATH.base}.drv"),
        output="out",
        path=PATH,
    )


@dataclass
class Asked:
    """Answers as a package set without packages would, and keeps what it was asked."""

    names: list[tuple[str, ...]] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, names: Sequence[str]) -> tuple[EvaluationResult, ...]:
        self.names.append(tuple(names))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return tuple(
            NotFound() if name == "none" else NotAPackage(attribute=name, kind="a set")
            for name in names
        )


@pytest.fixture
def asked() -> Asked:
    asked = Asked()
    asked.gate.set()
    return asked


async def test_unknown_names_are_evaluated_together(asked: Asked) -> None:
    cache = EvaluationResultCache(storage=MemoryStorage())
    await cache.results(SUBJECT, ["a", "none"], asked, is_listed=listed)

    found = await cache.results(SUBJECT, ["c", "none", "a", "b"], asked, is_listed=listed)

    assert asked.names == [("a", "none"), ("c", "b")]
    assert found == (
        NotAPackage(attribute="c", kind="a set"),
        NotFound(),
        NotAPackage(attribute="a", kind="a set"),
        NotAPackage(attribute="b", kind="a set"),
    )


async def test_results_outlive_the_process_and_belong_to_one_revision(asked: Asked) -> None:
    storage = MemoryStorage()
    await EvaluationResultCache(storage=storage).results(SUBJECT, ["a"], asked, is_listed=listed)

    restarted = EvaluationResultCache(storage=storage)
    await restarted.results(SUBJECT, ["a"], asked, is_listed=listed)
    await restarted.results({"revision": "tree:2"}, ["a"], asked, is_listed=listed)

    assert asked.names == [("a",), ("a",)]


async def test_a_second_caller_waits_for_the_running_evaluation(asked: Asked) -> None:
    cache = EvaluationResultCache(storage=MemoryStorage())
    asked.gate.clear()
    first = asyncio.create_task(cache.results(SUBJECT, ["a", "b"], asked, is_listed=listed))
    await until(lambda: asked.names == [("a", "b")])
    second = asyncio.create_task(cache.results(SUBJECT, ["b", "c"], asked, is_listed=listed))
    await until(lambda: asked.names == [("a", "b"), ("c",)])
    asked.gate.set()

    await asyncio.gather(first, second)

    assert asked.names == [("a", "b"), ("c",)]


async def test_the_error_of_one_request_does_not_reach_another(asked: Asked) -> None:
    cache = EvaluationResultCache(storage=MemoryStorage())
    failing = Asked(error=ValueError("bad"))
    first = asyncio.create_task(cache.results(SUBJECT, ["bad", "a"], failing, is_listed=listed))
    await until(lambda: failing.names)
    second = asyncio.create_task(cache.results(SUBJECT, ["a"], asked, is_listed=listed))
    await turns()
    failing.gate.set()

    with pytest.raises(ValueError, match="bad"):
        await first

    assert await second == (NotAPackage(attribute="a", kind="a set"),)


@dataclass
class Clock:
    seconds: float = 0

    def __call__(self) -> float:
        return self.seconds


async def evaluations(cache: EvaluationResultCache, validity: Validity, *, revision: str) -> int:
    """How often a name that fails so is evaluated when it is asked for twice."""
    failure, times = Failed(message="fails", validity=validity), 0

    async def ask(names: Sequence[str]) -> tuple[EvaluationResult, ...]:
        nonlocal times
        times += 1
        return tuple(failure for _ in names)

    for _ in range(2):
        assert await cache.results({"revision": revision}, ["bad"], ask, is_listed=listed) == (
            failure,
        )
    return times


@pytest.mark.parametrize(
    ("validity", "times", "later", "restarted"),
    [
        (Validity.ALWAYS, 1, 0, 0),
        (Validity.PROCESS, 1, 0, 1),
        (Validity.MINUTES, 1, 1, 1),
        (Validity.NEVER, 2, 2, 2),
    ],
)
async def test_a_failure_is_evaluated_again_when_its_validity_has_ended(
    validity: Validity, times: int, later: int, restarted: int
) -> None:
    storage, clock = MemoryStorage(), Clock()
    cache = EvaluationResultCache(storage=storage, failures=RecentFailures(clock=clock))

    assert await evaluations(cache, validity, revision="1") == times
    assert await evaluations(cache, validity, revision="2") == times
    clock.seconds += 3600
    assert await evaluations(cache, validity, revision="1") == later
    assert (
        await evaluations(EvaluationResultCache(storage=storage), validity, revision="1")
        == restarted
    )


def test_the_failures_in_memory_are_bounded() -> None:
    failures = RecentFailures(limit=3)
    failure = Failed(message="fails", validity=Validity.PROCESS)
    keys = [key_of(number) for number in range(5)]
    for key in keys:
        failures.add(key, failure)

    assert [failures.get(key) for key in keys] == [None, None, failure, failure, failure]


@pytest.mark.parametrize(
    ("name", "answer", "is_listed", "stored"),
    [
        ("git", package("git"), unlisted, True),
        ("python3packages.numpy", package("python3Packages.numpy"), unlisted, True),
        ("pkgs.pkgs.git", package("pkgs.pkgs.git"), unlisted, False),
        ("a.b.c", package("a.b.c"), listed, True),
        ("none", NotFound(), unlisted, False),
        ("none", NotFound(), listed, False),
        ("lib", NotAPackage(attribute="lib", kind="a set"), unlisted, False),
        ("foo", Ambiguous(candidates=("Foo", "foO")), unlisted, False),
        ("foo", Ambiguous(candidates=("Foo", "foO")), listed, True),
        ("bad", Failed(message="broken"), unlisted, False),
        ("bad", Failed(message="broken"), listed, True),
    ],
)
async def test_what_is_stored_is_bounded_by_the_names_of_the_revision(
    name: str, answer: EvaluationResult, is_listed: Callable[[str], bool], *, stored: bool
) -> None:
    storage = MemoryStorage()
    cache = EvaluationResultCache(storage=storage)
    times = 0

    async def ask(names: Sequence[str]) -> tuple[EvaluationResult, ...]:
        nonlocal times
        times += 1
        return (answer,)

    for _ in range(3):
        assert await cache.results(SUBJECT, [name], ask, is_listed=is_listed) == (answer,)
    await EvaluationResultCache(storage=storage).results(SUBJECT, [name], ask, is_listed=is_listed)

    assert times == (1 if stored else 2)
    assert len(await storage.keys("")) == stored


@pytest.mark.slow
async def test_any_number_of_unknown_names_leaves_no_file_and_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(result_cache, "_UNSTORED", 100)
    storage = MemoryStorage()
    cache = EvaluationResultCache(storage=storage)

    async def ask(names: Sequence[str]) -> tuple[EvaluationResult, ...]:
        return tuple(NotFound() for _ in names)

    for number in range(400):
        names = [f"unknown-{number}-{which}" for which in range(60)]
        await cache.results(SUBJECT, names, ask, is_listed=unlisted)

    assert await storage.keys("") == []
    assert len(cache._unstored) == 100


async def test_names_that_are_ruled_out_are_not_evaluated() -> None:
    storage = MemoryStorage()
    cache = EvaluationResultCache(storage=storage)
    asked: list[tuple[str, ...]] = []

    async def evaluate(names: Sequence[str]) -> Sequence[EvaluationResult]:
        asked.append(tuple(names))
        return [package(name) for name in names]

    def ruled_out(name: str) -> bool:
        return name.startswith("x")

    results = await cache.results(
        SUBJECT, ["x1", "a", "x2"], evaluate, is_listed=lambda _: True, is_ruled_out=ruled_out
    )

    assert results == (NotFound(), package("a"), NotFound())
    assert asked == [("a",)]


async def test_a_name_that_is_ruled_out_decides_before_others_are_evaluated() -> None:
    def check(known: dict[str, EvaluationResult]) -> None:
        if NotFound() in known.values():
            raise LookupError

    async def evaluate(_: Sequence[str]) -> Sequence[EvaluationResult]:
        raise AssertionError("nothing is to be evaluated")

    with pytest.raises(LookupError):
        await EvaluationResultCache(storage=MemoryStorage()).results(
            SUBJECT,
            ["a", "nope"],
            evaluate,
            check,
            is_listed=lambda _: True,
            is_ruled_out=lambda name: name == "nope",
        )

"""How often the store is measured, and what is made of what Nix prints."""

from pathlib import Path

import pytest

from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.store_size import StoreSize, StoreTooLarge
from app.errors import StoreUnavailable
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms

PATH = "/nix/store/" + "a" * 32 + "-one"
MIB = 1024 * 1024
SMALL = f"{PATH}\t 1048576\n"
LARGE = f"{PATH}\t 1048576\n{PATH}-dev  \t 3145728\n"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def programs(tmp_path: Path) -> RecordedPrograms:
    return RecordedPrograms(tmp_path)


@pytest.fixture
def size(programs: RecordedPrograms, tmp_path: Path, clock: Clock) -> StoreSize:
    return store_size(programs, tmp_path, clock, most=2 * MIB)


def store_size(programs: RecordedPrograms, home: Path, clock: Clock, *, most: int) -> StoreSize:
    workers = Workers(1)
    configuration = NixConfiguration(
        environment=child_environment({"PATH": str(programs.directory)}, home=home),
        directory=home / "configuration",
        workers=workers,
    )
    running = Programs(configuration=configuration, store_seconds=60)
    return StoreSize(programs=running, workers=workers, options=(), most=most, clock=clock)


async def test_without_a_limit_nothing_is_measured(
    programs: RecordedPrograms, tmp_path: Path, clock: Clock
) -> None:
    await store_size(programs, tmp_path, clock, most=0).check()

    assert programs.starts == []


async def test_a_measurement_is_used_for_ten_seconds(
    programs: RecordedPrograms, size: StoreSize, clock: Clock
) -> None:
    programs.add("nix", stdout=SMALL)
    assert await size.check() == 11
    programs.add("nix", stdout=LARGE)
    clock.now += 9.5

    assert await size.check() == 1.5
    clock.now += 1.5
    with pytest.raises(StoreTooLarge, match="has 4 MiB, and may have 2 "):
        await size.check()


async def test_a_store_is_measured_again_after_its_garbage_was_collected(
    programs: RecordedPrograms, size: StoreSize, clock: Clock
) -> None:
    programs.add("nix", stdout=LARGE)
    with pytest.raises(StoreTooLarge):
        await size.check()
    programs.add("nix", stdout=SMALL)
    clock.now += 10

    await size.check()


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (None, "Nix cannot list the sizes of its store"),
        ("one two\n", "Nix printed no list of the sizes"),
        ("\n", "Nix printed no list of the sizes"),
    ],
)
async def test_a_failed_measurement_is_transient_and_the_last_one_is_used(
    programs: RecordedPrograms,
    size: StoreSize,
    clock: Clock,
    printed: str | None,
    reason: str,
) -> None:
    programs.add("nix", stdout=printed or "", code=int(printed is None))
    with pytest.raises(StoreUnavailable, match=reason):
        await size.check()
    programs.add("nix", stdout=SMALL)
    await size.check()
    programs.add("nix", stdout=printed or "", code=int(printed is None))
    clock.now += 60

    await size.check()


async def test_an_empty_store_has_no_size(programs: RecordedPrograms, size: StoreSize) -> None:
    programs.add("nix", stdout="")

    await size.check()

"""Results of evaluations that turn out to be others."""

import pytest

from app.builder.evaluation.corrections import PackagesChanged, with_corrections
from app.errors import BuildFailed


async def test_a_package_that_changes_each_time_ends_in_a_failure() -> None:
    attempts: list[int] = []

    async def work(number: int) -> None:
        attempts.append(number)
        raise PackagesChanged(("hello", "jq"))

    with pytest.raises(BuildFailed, match=r"^hello, jq evaluates to another package each time$"):
        await with_corrections(work, 1, lambda number: number + 1)

    assert attempts == [1, 2, 3]


async def test_work_is_done_again_after_a_correction() -> None:
    async def work(number: int) -> int:
        if number == 1:
            raise PackagesChanged(("hello",))
        return number

    assert await with_corrections(work, 1, lambda number: number + 1) == 2

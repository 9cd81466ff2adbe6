"""An evaluation, and stand-ins for the processes that would run it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.builder.nix.door import Allowed, Evaluation, PackageSet
from app.builder.nix.programs.repl_pool import ReplPool
from app.system.process import Finished
from app.system.workers import Workers

T = TypeVar("T")

EVALUATION = Evaluation(
    source="team",
    package_set=PackageSet("path", "/set"),
    system="x86_64-linux",
    allowed=Allowed(unfree=False, insecure=False, broken=False),
    restricted=False,
    seconds=60,
    memory=1 << 30,
)


def finished(stdout: str = "", stderr: str = "", code: int = 0) -> Finished:
    return Finished(code, stdout.encode(), stderr.encode(), 1)


class Kept(ReplPool):
    """Returns ``rows``, one for each request, or raises them; None without more."""

    def __init__(self, *rows: list[object] | Exception | None) -> None:
        self.rows = deque(rows)
        self.requests: list[tuple[str, ...]] = []
        self.invalidated = 0
        self.unreadable = False
        self.workers = Workers(1)

    async def request(
        self,
        evaluation: Evaluation,
        names: Sequence[str],
        read: Callable[[list[object]], T],
        function: str = "answer",
    ) -> T | None:
        assert replace(evaluation, read_only=False) == EVALUATION
        self.requests.append((function, *names))
        row = self.rows.popleft() if self.rows else None
        if isinstance(row, Exception):
            raise row
        return None if row is None else await self.workers.run(read, row)

    def running(self, evaluation: Evaluation) -> Evaluation:
        return evaluation

    def is_readable(self, evaluation: Evaluation) -> bool:
        return evaluation.read_only and not self.unreadable

    def set_unreadable(self, evaluation: Evaluation) -> None:
        self.unreadable |= evaluation.read_only

    async def invalidate(self) -> None:
        self.invalidated += 1

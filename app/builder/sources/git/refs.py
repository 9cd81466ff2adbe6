"""What the branches and tags of a repository stand for, asked once for all who ask within moments.

Anybody may ask for any number of tags that do not exist, and the host sends them all whichever
is asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from app.builder.sources.git.command import GitFailed


class GitListing:
    """``seconds`` is for how long an answer, or that there was none, is everybody's."""

    def __init__(
        self,
        *,
        ask: Callable[[], Awaitable[Mapping[str, str]]],
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked = 0
        self._answered = 0  # the number of the question that the answer is to
        self._until = float("-inf")
        self._answer: Mapping[str, str] | GitFailed = {}

    async def refs(self) -> Mapping[str, str]:
        """Raises GitFailed."""
        asked_before = self._asked
        async with self._asking:
            if self._answered <= asked_before and self._clock() >= self._until:
                self._asked += 1
                self._answer = await self._answer_or_failure()
                self._answered = self._asked
                self._until = self._clock() + self._seconds
        if isinstance(self._answer, GitFailed):
            raise self._answer.with_traceback(None)
        return self._answer

    async def _answer_or_failure(self) -> Mapping[str, str] | GitFailed:
        try:
            return await self._ask()
        except GitFailed as failure:
            return failure

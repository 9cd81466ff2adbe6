"""A cache of the branches and tags of a repository, for a few seconds.

Clients can query any number of unknown tags, and each query of the host returns all refs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from app.builder.sources.git.command import GitFailed


class RefCache:
    """The refs of one repository.

    ``query`` returns all refs; its result or failure is cached for ``seconds``.

    Not a SingleFlight: a caller does not join a query that started before, whose result may lack a
    tag that was pushed since.
    """

    def __init__(
        self,
        *,
        query: Callable[[], Awaitable[Mapping[str, str]]],
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._query = query
        self._seconds = seconds
        self._clock = clock
        self._lock = asyncio.Lock()
        self._queries = 0
        self._result_of = 0  # the number of the query that the result belongs to
        self._until = float("-inf")
        self._result: Mapping[str, str] | GitFailed = {}

    async def refs(self) -> Mapping[str, str]:
        """Return the commit of each ref.  Raises GitFailed."""
        queries_before = self._queries
        async with self._lock:
            if self._result_of <= queries_before and self._clock() >= self._until:
                self._queries += 1
                self._result = await self._result_or_failure()
                self._result_of = self._queries
                self._until = self._clock() + self._seconds
        if isinstance(self._result, GitFailed):
            raise type(self._result)(*self._result.args)
        return self._result

    async def _result_or_failure(self) -> Mapping[str, str] | GitFailed:
        try:
            return await self._query()
        except GitFailed as failure:
            return failure

"""Bound the size of the Nix store: the sum of the NAR sizes of its valid paths.

Nix takes about 0.1 ms for each store path.  A measurement is therefore used for ten times as long
as it took, and for at least ten seconds, by all builds.
"""

import time
from collections.abc import Callable, Sequence

from loguru import logger

from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import FEATURES
from app.errors import StoreUnavailable
from app.system.blocking import blocking
from app.system.single_flight import SingleFlight
from app.system.workers import Workers
from app.text.size import MIB

_LEAST_SECONDS = 10.0
_COST_FACTOR = 10


class StoreTooLarge(Exception):
    """The store exceeds its limit; the message names the setting."""


class StoreSize:
    """The limit on the size of the Nix store.

    ``most`` is in bytes; 0 disables the limit.  ``options`` are settings of Nix.
    """

    def __init__(
        self,
        *,
        programs: Programs,
        workers: Workers,
        options: Sequence[str],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._programs = programs
        self._workers = workers
        self._options = options
        self._most = most
        self._clock = clock
        self._flight: SingleFlight[None, int] = SingleFlight()
        self._size: int | None = None
        self._expiry = 0.0

    @property
    def is_limited(self) -> bool:
        return bool(self._most)

    async def check(self) -> float:
        """Return after how many seconds to check again.

        Raises StoreTooLarge, and StoreUnavailable if the store was never measured.
        """
        if not self._most:
            return _LEAST_SECONDS
        size = await self._measured()
        if size > self._most:
            raise StoreTooLarge(
                f"the Nix store has {size // MIB} MiB, and may have {self._most // MIB}"
                " (NIXERY_STORE_SIZE): the server's operator has to collect its garbage with"
                " nix-collect-garbage"
            )
        return max(self._expiry - self._clock(), 0) + 1

    async def _measured(self) -> int:
        if self._size is not None and self._clock() < self._expiry:
            return self._size
        return await self._flight.run(None, self._measure)

    async def _measure(self) -> int:
        begun = self._clock()
        try:
            size = await self._query()
        except StoreUnavailable as error:
            if self._size is None:
                raise
            logger.warning("{}; the last measurement is used", error)
            size = self._size
        now = self._clock()
        self._size = size
        self._expiry = now + max(_LEAST_SECONDS, (now - begun) * _COST_FACTOR)
        return size

    async def _query(self) -> int:
        command = ["nix", "path-info", "--all", "--size", *FEATURES, *self._options]
        finished = await self._programs.query("store size", command)
        if finished.code != 0:
            why = evaluation_error(finished.stderr) or exit_reason(finished)
            raise StoreUnavailable(f"Nix cannot list the sizes of its store: {why}")
        try:
            return await self._workers.run(total, finished.stdout)
        except (ValueError, IndexError):
            raise StoreUnavailable("Nix printed no list of the sizes of its store") from None


@blocking
def total(output: bytes) -> int:
    """Add up the last column; raises ValueError or IndexError."""
    return sum(int(line.split()[-1]) for line in output.splitlines())

"""Start and count Nix's programs."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from app.builder.nix.programs.configuration import NixConfiguration
from app.errors import StoreUnavailable, Unavailable
from app.system.process import (
    Finished,
    Limits,
    OutOfSpace,
    OutOfTime,
    ProgramMissing,
    ProgramNotStarted,
    run,
)
from app.system.retrying import Retries

_RETRIES = Retries(times=3, seconds=60)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of Nix's programs and of its store.

    ``store_seconds`` limits a query to the store.  ``store_free`` is the number of bytes that
    realisations leave free on the disk of the store.  ``store_size`` is the number of bytes that
    the store may have; 0 means no limit.
    """

    store_seconds: float = 60
    store_free: int = 0
    store_size: int = 0
    retries: Retries = _RETRIES


BOUNDS = Bounds()


class Programs:
    """Runs Nix's programs in the environments of ``configuration``.

    ``starts`` counts the processes by purpose; ``store_seconds`` limits ``query``.
    """

    def __init__(self, *, configuration: NixConfiguration, store_seconds: float) -> None:
        self.starts: Counter[str] = Counter()
        self._configuration = configuration
        self._store_seconds = store_seconds

    async def run(
        self,
        purpose: str,
        command: Sequence[str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run a program; ``environment`` replaces the one of store queries.

        Raises Unavailable if Nix does not start, OutOfTime, OutOfSpace, StorageUnavailable.
        """
        self.starts[purpose] += 1
        if environment is None:
            environment = await self._configuration.store()
        try:
            return await run(
                command,
                environment=environment,
                limits=limits,
                on_line=on_line,
            )
        except ProgramNotStarted as error:
            raise unavailable(error) from None

    async def query(
        self,
        purpose: str,
        command: Sequence[str],
        *,
        seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run a query to the store or about Nix itself, which takes milliseconds as a rule.

        Raises Unavailable, StoreUnavailable.
        """
        seconds = self._store_seconds if seconds is None else seconds
        try:
            limits = Limits(seconds=seconds)
            return await self.run(purpose, command, limits, environment=environment)
        except OutOfTime:
            raise StoreUnavailable(
                f"Nix took longer than {seconds:g} s for a query to its store ({purpose})"
            ) from None
        except OutOfSpace as error:
            raise StoreUnavailable(
                f"Nix printed more than {error.limit} for a query to its store ({purpose})"
            ) from None


def unavailable(error: ProgramNotStarted) -> Unavailable:
    if not isinstance(error, ProgramMissing):
        return Unavailable(f"the server {error}")
    if not PurePath(error.program).name.startswith("nix"):
        return Unavailable(f"Nix cannot be started: {error}")  # a shell starts some processes
    return Unavailable(
        f"Nix is not installed ({error}): on Debian and Ubuntu run `apt-get install nix-bin`,"
        " elsewhere see nixos.org/download"
    )

"""The environments of Nix's programs, with the operator's settings in files that only Nix reads.

``NIX_CONFIG`` may contain tokens and passwords.  A builder can request any variable of the process
that builds it (``impureEnvVars``), and other processes of the same user can read it too.  So the
settings are in files that only the server's user can read, found by ``XDG_CONFIG_HOME``.  Which
settings each program gets is in ``app.system.environment``.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.request import chosen_caches
from app.system.blocking import blocking
from app.system.environment import (
    for_store,
    for_untrusted_build,
    for_untrusted_evaluation,
    is_built_by_daemon,
    without_config,
)
from app.system.owned_directories import OwnedDirectories, OwnedDirectory, write_private
from app.system.workers import Workers

# In the order of Nix.
_CERTIFICATES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")


class NixConfiguration:
    """Files with the operator's settings, and the environments that refer to them.

    ``environment`` is the one that child processes inherit.  The owner must call ``close``.
    """

    def __init__(
        self, *, environment: Mapping[str, str], directory: Path, workers: Workers
    ) -> None:
        self._environment = dict(environment)
        self._directories = OwnedDirectories(parent=directory, workers=workers)
        self._workers = workers
        self._opening = asyncio.Lock()
        self._directory: OwnedDirectory | None = None
        self._numbers: dict[str, int] = {}

    @blocking
    def sweep(self) -> None:
        """Remove the files of processes that have exited.  Raises StorageUnavailable."""
        self._directories.sweep()

    async def directory(self) -> Path:
        """Return a directory that only the server's user can read, until ``close``.

        One that was removed is replaced: the state directory may be emptied while servers run.
        """
        async with self._opening:
            if self._directory is None or not await self._workers.run(self._directory.exists):
                await self._release()
                self._directory = await self._directories.create()
            return self._directory.path

    async def evaluation(self, *, restricted: bool) -> dict[str, str]:
        """Return the environment of evaluations.  Raises StorageUnavailable, as the others."""
        if restricted:
            return await self._private(for_untrusted_evaluation(self._environment))
        return await self._private(self._environment)

    async def store(self) -> dict[str, str]:
        """Return the environment of queries to the store."""
        return await self._private(for_store(self._environment))

    async def realisation(self, options: RealiseOptions) -> dict[str, str]:
        """Return the environment of builds and downloads, with the source's binary caches."""
        environment = for_store(self._environment)
        if options.build and not options.trusted:
            environment = for_untrusted_build(environment)
        return await self._private(environment, chosen_caches(options.substituters))

    async def builders(self) -> dict[str, str]:
        """Return an environment in which Nix shows the settings of those that build.

        A daemon has its own nix.conf, which is this machine's, and takes no sandbox from users.
        """
        environment = for_store(self._environment)
        if is_built_by_daemon(environment):
            environment, _ = without_config(environment)
        return await self._private(environment)

    async def close(self) -> None:
        await self._release()

    @property
    def certificates(self) -> str:
        """The file of certificate authorities that the environment names, "" for none."""
        return next(filter(None, map(self._environment.get, _CERTIFICATES)), "")

    async def _release(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None:
            await directory.release()

    async def _private(self, environment: Mapping[str, str], more: str = "") -> dict[str, str]:
        """Move the settings from the environment to a file, and add ``more`` after them."""
        rest, config = without_config(environment)
        text = "\n".join(filter(None, (config, more)))
        if not text.strip():
            return rest
        directory = await self.directory()
        home = directory / str(self._numbers.setdefault(text, len(self._numbers)))
        async with self._opening:
            await self._workers.run(write_private, home / "nix" / "nix.conf", f"{text}\n")
        return {**rest, "XDG_CONFIG_HOME": str(home)}

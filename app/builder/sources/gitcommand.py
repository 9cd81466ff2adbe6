"""Git's own program: without the user's or machine's configuration, prompts or credentials
other than the source's, which stay in the files they are in.
"""

import os
import re
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from app.builder.running.locks import EXCLUSIVE, locked
from app.builder.running.process import Finished, Limits, OutOfSpace, OutOfTime, ProgramMissing, run
from app.builder.running.workers import Workers
from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.gitwords import cause

_LISTING = 16 * 1024 * 1024
_ASKPASS = """#!/bin/sh
# Git asks here; the answers never appear among arguments or in the environment.
case "$1" in
  Username*) printf '%s\\n' "$NIXERY_GIT_USERNAME" ;;
  *) cat "$NIXERY_GIT_TOKEN_FILE" ;;
esac
"""


class GitFailed(Exception):
    """The message is one line, without the repository's address."""


class GitCommand:
    """Git for one source.  Commands that speak to the repository may take ``seconds``."""

    def __init__(
        self,
        *,
        definition: GitDefinition | FlakeDefinition,
        environment: Mapping[str, str],
        directory: Path,
        workers: Workers,
        seconds: float,
    ) -> None:
        self._definition = definition
        self._directory = directory
        self._workers = workers
        self._seconds = seconds
        self._askpass = directory / "askpass"
        self._environment = {
            **_certificates(environment),
            **environment,
            **_ENVIRONMENT,
            **self._credentials(),
        }

    async def refs(self, location: str, name: str) -> dict[str, str]:
        """What a branch or tag of this name, and HEAD, stand for in the repository."""
        patterns = ["HEAD", f"refs/heads/{name}", f"refs/tags/{name}", f"refs/tags/{name}^{{}}"]
        return _refs(await self._speak("ls-remote", "--quiet", "--", location, *patterns))

    async def names(self, location: str) -> list[str]:
        """All branches, then all tags."""
        output = await self._speak("ls-remote", "--quiet", "--heads", "--tags", "--", location)
        refs = [name for name in _refs(output) if not name.endswith("^{}")]
        return [
            name.removeprefix(kind)
            for kind in ("refs/heads/", "refs/tags/")
            for name in refs
            if name.startswith(kind)
        ]

    async def commit_date(self, repository: Path, commit: str) -> int | None:
        """Seconds since 1970 if the repository has the commit with its files."""
        finished = await self._run(
            ["--git-dir", str(repository), "show", "-s", "--format=%ct", f"{commit}^{{commit}}"]
        )
        text = finished.stdout.decode(errors="replace").strip()
        return int(text) if finished.code == 0 and text.isdigit() else None

    async def fetch_commit(self, repository: Path, location: str, commit: str) -> None:
        """A commit and its files; no error if there is no such commit."""
        async with self._writing(repository):
            arguments = [*_FETCH, "--depth=1", "--", location]
            finished = await self._run(["--git-dir", str(repository), *arguments, commit])
            if finished.code != 0 and _UNADVERTISED.search(finished.stderr):
                # An old server hands out only what a branch or tag names: take all of that.
                await self._speak("--git-dir", str(repository), *_FETCH, "--", location, *_ALL)
            elif finished.code != 0 and not _ABSENT.search(finished.stderr):
                raise self._failed(finished)

    async def fetch_history(self, repository: Path, location: str) -> None:
        """All commits, without files where the server can leave them out."""
        async with self._writing(repository):
            await self._speak(
                *("--git-dir", str(repository), *_FETCH, "--filter=tree:0", "--", location, *_ALL)
            )

    async def commits_beginning(self, repository: Path, short: str) -> list[str]:
        """Full names of the commits whose names begin so, sorted."""
        base = ("--git-dir", str(repository))
        output = await self._speak(*base, "rev-parse", f"--disambiguate={short}")
        objects = sorted(output.split())
        kinds = [await self._speak(*base, "cat-file", "-t", name) for name in objects]
        return [name for name, kind in zip(objects, kinds, strict=True) if kind == "commit\n"]

    async def unpack(self, repository: Path, commit: str, path: Path, date: datetime) -> None:
        """The commit's files, as a checkout has them, in an empty directory.

        All bear the date, since flakes can see it.
        """
        index = path.with_name(path.name + ".index")
        base = ["--git-dir", str(repository), "--work-tree", str(path)]
        environment = {"GIT_INDEX_FILE": str(index)}
        try:
            await self._speak(*base, "read-tree", commit, environment=environment)
            await self._speak(*base, "checkout-index", "--all", environment=environment)
        finally:
            await self._workers.run(index.unlink, missing_ok=True)
        await self._workers.run(_set_times, path, date.timestamp())

    async def submodules(self, tree: Path) -> tuple[str, ...]:
        """Directories that an unpacked commit leaves to other repositories."""
        file = tree / ".gitmodules"
        if not await self._workers.run(file.exists):
            return ()
        pattern = r"^submodule\..*\.path$"
        finished = await self._run(
            ["config", "--null", "--file", str(file), "--get-regexp", pattern]
        )
        rows = finished.stdout.decode(errors="replace").split("\0")
        return tuple(sorted(path for _, _, path in (row.partition("\n") for row in rows) if path))

    @asynccontextmanager
    async def _writing(self, repository: Path) -> AsyncIterator[None]:
        """Alone in the repository, which is made if absent."""
        lock = repository.with_suffix(repository.suffix + ".lock")
        async with locked(lock, EXCLUSIVE, workers=self._workers):
            if not await self._workers.run((repository / "HEAD").exists):
                await self._speak("init", "--quiet", "--bare", "--template=", "--", str(repository))
            await self._workers.run(_drop_locks, repository)
            yield

    async def _speak(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Standard output; raises GitFailed."""
        finished = await self._run(arguments, environment or {})
        if finished.code != 0:
            raise self._failed(finished)
        return finished.stdout.decode(errors="replace")

    async def _run(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Finished:
        if self._definition.token_file is not None:
            await self._workers.run(self._write_askpass)
        try:
            return await run(
                ["git", *arguments],
                environment={**self._environment, **(environment or {})},
                limits=Limits(seconds=self._seconds, output=_LISTING * 8),
            )
        except ProgramMissing:
            raise GitFailed("git is not installed (apt-get install git)") from None
        except OutOfTime as error:
            raise GitFailed(f"no answer within {error.limit}") from None
        except OutOfSpace as error:
            raise GitFailed(f"more than {error.limit}") from None

    def _failed(self, finished: Finished) -> GitFailed:
        return GitFailed(cause(finished.stderr.decode(errors="replace"), self._definition))

    def _credentials(self) -> dict[str, str]:
        definition = self._definition
        chosen: dict[str, str] = {}
        if definition.token_file is not None:
            chosen["GIT_ASKPASS"] = str(self._askpass)
            chosen["NIXERY_GIT_USERNAME"] = definition.username
            chosen["NIXERY_GIT_TOKEN_FILE"] = str(definition.token_file)
        ssh = ["ssh", "-F", "none", *_option("BatchMode=yes"), *_option("IdentityAgent=none")]
        ssh += _option("StrictHostKeyChecking=yes")
        if definition.ssh_key is not None:
            ssh += ["-i", str(definition.ssh_key), *_option("IdentitiesOnly=yes")]
        if definition.known_hosts is not None:
            ssh += _option(f'UserKnownHostsFile="{definition.known_hosts}"')
        chosen["GIT_SSH_COMMAND"] = shlex.join(ssh)
        return chosen

    def _write_askpass(self) -> None:
        """Blocking."""
        if self._askpass.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        new = self._askpass.with_name(f"askpass.{os.getpid()}")
        new.write_text(_ASKPASS)
        new.chmod(0o700)
        new.rename(self._askpass)


_ABSENT = re.compile(rb"not our ref|couldn't find remote ref")
_UNADVERTISED = re.compile(rb"unadvertised object")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_CONFIGURATION = {
    "safe.directory": "*",  # the operator named the repository, whoever owns it
    "http.followRedirects": "false",  # a token goes where it was meant to go
    "core.hooksPath": "/dev/null",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.version": "2",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ASKPASS": "true",
    "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(_CONFIGURATION)},
    **{f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(_CONFIGURATION.values())},
}


def _certificates(environment: Mapping[str, str]) -> dict[str, str]:
    """One variable names the trusted certificates for Nix, for channels, and so for git."""
    file = environment.get("SSL_CERT_FILE")
    return {} if file is None else {"GIT_SSL_CAINFO": file}


def _set_times(root: Path, moment: float) -> None:
    """Blocking."""
    for directory, directories, files in os.walk(root, topdown=False):
        for name in (*directories, *files, "."):
            os.utime(Path(directory) / name, (moment, moment), follow_symlinks=False)


def _drop_locks(repository: Path) -> None:
    """Blocking.  A killed git leaves its locks; ours says that nobody else is here."""
    for lock in repository.rglob("*.lock"):
        lock.unlink(missing_ok=True)


def _option(setting: str) -> list[str]:
    return ["-o", setting]


def _refs(output: str) -> dict[str, str]:
    rows = (line.partition("\t") for line in output.splitlines())
    return {name: commit for commit, _, name in rows if name}

"""The one place where programs are started.

A program runs in a session of its own with an environment made from nothing; both its
streams are read together with bounded memory.  One that is run never outlives its time limit or
the task that waits for it: it is asked to end (Nix then ends its builders, which live in sessions of
their own), and after a grace the whole process group is killed.

asyncio's own processes are not used: waiting for one also waits for whoever inherited its
streams, and its number may belong to a stranger by the time its group is killed.  A pidfd
tells of the end while the number is still taken.
"""

import asyncio
import os
import resource
import signal
import subprocess  # noqa: TID251 - this is the place
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.system.streams import Reader, Tail, Writer

_MIB = 1024 * 1024
# What is stored is served while programs use all processors.
_NICENESS = 10
_NICEST = 19

# What a program may see of the server's own environment: where programs and certificates
# are, which store to speak to.  Everything else, above all other programs' secrets, stays out.
_ALLOWED = (
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NIX_CONF_DIR",
    "NIX_CONFIG",
    "NIX_DAEMON_SOCKET_PATH",
    "NIX_REMOTE",
    "NIX_SSL_CERT_FILE",
    "NO_PROXY",
    "PATH",
    "SSL_CERT_FILE",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


class ProgramMissing(Exception):
    """There is no such program on PATH."""


class LimitExceeded(Exception):
    """A limit ended the program.  ``tail`` is the end of its standard error."""

    def __init__(self, limit: str, tail: bytes) -> None:
        super().__init__(limit)
        self.limit = limit
        self.tail = tail


class OutOfTime(LimitExceeded):
    pass


class OutOfSpace(LimitExceeded):
    """The program wrote more than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``memory`` and ``output`` in bytes; the output is what both streams carry together.

    ``tail`` is how much of standard error is kept, ``grace_seconds`` how long the program
    has to clean up when it is stopped.
    """

    seconds: float
    memory: int | None = None
    output: int = 64 * _MIB
    tail: int = 64 * 1024
    grace_seconds: float = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """``code`` is negative for a signal; ``stderr`` holds the last bytes only."""

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float


def child_environment(surroundings: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """A child's environment; ``home`` is a directory of ours, so that no user's files count."""
    chosen = {name: surroundings[name] for name in _ALLOWED if name in surroundings}
    return {
        "PATH": os.defpath,
        **chosen,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
    }


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run to the end; ``on_line`` is given each line of standard error as it appears.

    Raises ProgramMissing, OutOfTime, OutOfSpace.  An exit code is the caller's to judge.
    """
    begun = time.monotonic()
    program = Program(command, environment, limits, on_line=on_line)
    try:
        async with asyncio.timeout(limits.seconds):
            await program.end()
    except TimeoutError:
        raise OutOfTime(f"{limits.seconds:g} s", program.tail) from None
    finally:
        await program.stop()
    assert program.code is not None
    return Finished(program.code, program.stdout, program.tail, time.monotonic() - begun)


class Program:
    """A running program; from the constructor on somebody must call ``stop``.

    One that is ``spoken_to`` has a standard input.  It reads its end when this process ends,
    in whatever way.  ``on_output`` is given standard output instead of keeping it for ``stdout``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        limits: Limits,
        *,
        on_line: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        spoken_to: bool = False,
    ) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._process = _start(command, environment, limits, spoken_to=spoken_to)
        self._pidfd = os.pidfd_open(self._process.pid)
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)
        self._left = limits.output
        self.overflow: asyncio.Future[None] = self._loop.create_future()
        self._stdout = bytearray()
        self._stderr = Tail(limits.tail, on_line)
        self._stdin = Writer(self._process.stdin) if self._process.stdin else None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        take = on_output or self._stdout.extend
        self._readers = (
            Reader(self._process.stdout, lambda chunk: self._take(chunk, take)),
            Reader(
                self._process.stderr,
                lambda chunk: self._take(chunk, self._stderr.add),
                by_lines=on_line is not None,
            ),
        )
        self.code: int | None = None

    @property
    def stdout(self) -> bytes:
        return bytes(self._stdout)

    @property
    def tail(self) -> bytes:
        return self._stderr.content

    @property
    def pid(self) -> int:
        """A stranger's as soon as it has exited."""
        return self._process.pid

    def say(self, words: bytes) -> None:
        """Never waits; from here on it may write as much as its limit again."""
        assert self._stdin is not None
        self._left = self._limits.output
        self._stdin.write(words)

    async def end(self) -> None:
        """Until exit and the end of both streams; raises OutOfSpace."""
        await asyncio.wait([self.exited, self.overflow], return_when=asyncio.FIRST_COMPLETED)
        if not self.overflow.done():
            # Somebody outside the group may have inherited the streams: he is not waited for.
            ended = [reader.ended for reader in self._readers]
            await asyncio.wait(ended, timeout=self._limits.grace_seconds)
        if self.overflow.done():
            raise OutOfSpace(f"{self._limits.output // _MIB} MiB of output", self.tail)
        self._stderr.finish()

    async def stop(self) -> None:
        self._stderr.mute()
        if self._stdin is not None:
            self._stdin.close()
        try:
            if not self.exited.done():
                os.kill(self._process.pid, signal.SIGTERM)
                await asyncio.wait([self.exited], timeout=self._limits.grace_seconds)
        finally:
            # Reached by a second cancellation as well; _reap then runs without us.
            if not self.exited.done():
                os.killpg(self._process.pid, signal.SIGKILL)
            for reader in self._readers:
                reader.close()
        await asyncio.wait([self.exited])

    def _reap(self) -> None:
        """The leader is a zombie: its number is still taken, and so is its group's."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.code = self._process.wait()
        for reader in self._readers:
            reader.hurry()
        self.exited.set_result(None)

    def _take(self, chunk: bytes, take: Callable[[bytes], None]) -> None:
        """What comes after the limit is read and dropped, so that the program can end."""
        self._left -= len(chunk)
        if self._left >= 0:
            take(chunk)
        elif not self.overflow.done():
            self.overflow.set_result(None)


def _start(
    command: Sequence[str], environment: Mapping[str, str], limits: Limits, *, spoken_to: bool
) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE if spoken_to else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ProgramMissing(command[0]) from None
    with suppress(ProcessLookupError, PermissionError):
        priority = os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, process.pid, min(priority, _NICEST))
    if limits.memory is not None:
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (limits.memory, limits.memory))
    return process

"""The one place where programs are started.

A program runs in a session of its own, with an environment built from nothing; both its output
streams are read together with bounded memory.  ``run`` never outlives the time limit or the task
that waits for it.  It sends SIGTERM, upon which Nix stops its builders in their own sessions, and
after a grace kills the whole process group.

asyncio's own processes are not used.  Waiting for one also waits for processes that inherited its
streams, and the pid may be reused before the group is killed.  A pidfd reports the exit while the
pid is still taken.
"""

import asyncio
import os
import resource
import shutil
import signal
import subprocess  # noqa: TID251 - programs are started here only
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.system.streams import Reader, Tail, Writer
from app.text.size import MIB

# The server gets processor time while programs use all processors.
_NICENESS = 10
_NICEST = 19
# $$ is the process that becomes the program, and the number of its group.
_KILLED_WITH_SERVER = """
exec 3<&0 </dev/null
(
    read -r _ <&3
    kill -9 -$$
) >/dev/null 2>&1 &
exec "$@" 3<&-
"""


class ProgramNotStarted(Exception):
    """The system did not start the program."""


class ProgramMissing(ProgramNotStarted):
    """The program is not on the PATH."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not on the PATH")
        self.program = program


class LimitExceeded(Exception):
    """The program was stopped at a limit, such as "120 s"; ``tail`` ends its standard error."""

    def __init__(self, limit: str, tail: bytes) -> None:
        super().__init__(f"stopped at the limit of {limit}")
        self.limit = limit
        self.tail = tail


class OutOfTime(LimitExceeded):
    """The program ran longer than its limit."""


class OutOfSpace(LimitExceeded):
    """The program wrote more than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may take.

    ``memory``, ``data``, ``file`` and ``output`` are in bytes.  ``memory`` is the address space of
    each process, ``data`` the same without mapped files.  ``file`` is the size of each file that
    the program or its children write; the output is that of both streams together.  ``tail`` is
    how many bytes of standard error are kept.  ``grace_seconds`` is the time that the program has
    to clean up after SIGTERM.
    """

    seconds: float
    memory: int | None = None
    data: int | None = None
    file: int | None = None
    output: int = 64 * MIB
    tail: int = 64 * 1024
    grace_seconds: float = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a program.

    ``code`` is negative for a signal; ``stderr`` has the last bytes only.
    """

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
    killed_with_server: bool = False,
) -> Finished:
    """Run a program until it exits; ``on_line`` receives lines of standard error as they appear.

    With ``killed_with_server`` a shell kills it when this process has been killed: it would write
    into directories that the next server has emptied.

    Raise ProgramNotStarted, OutOfTime, OutOfSpace.  The caller judges the exit code.
    """
    begun = time.monotonic()
    if killed_with_server:
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise ProgramMissing(command[0])
        command = ("/bin/sh", "-c", _KILLED_WITH_SERVER, "sh", *command)
    program = Program(command, environment, limits, on_line=on_line, watches=killed_with_server)
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
    """A running program; the creator must call ``stop``.

    With ``has_input`` it has a standard input, which ends when this process exits in any way.
    One that ``watches`` has it until it exits, and only looks for its end.
    ``on_output`` receives standard output, which is then not kept in ``stdout``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        limits: Limits,
        *,
        on_line: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        has_input: bool = False,
        watches: bool = False,
    ) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._process, self._pidfd = _start(
            command, environment, limits, has_input=has_input or watches
        )
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)
        self._left = limits.output
        self.overflow: asyncio.Future[None] = self._loop.create_future()
        self._stdout = bytearray()
        self._stderr = Tail(limits.tail, on_line)
        self._stdin = self._watched = None
        if self._process.stdin is not None:
            if watches:
                self._watched = self._process.stdin
            else:
                self._stdin = Writer(self._process.stdin)
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
        """The pid, which another process may get once this one has exited."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Write to standard input without waiting; the limit of output starts again."""
        assert self._stdin is not None
        self._left = self._limits.output
        self._stdin.write(data)

    async def end(self) -> None:
        """Wait for the exit and the end of both streams.  Raise OutOfSpace."""
        await asyncio.wait([self.exited, self.overflow], return_when=asyncio.FIRST_COMPLETED)
        if not self.overflow.done():
            # A process outside the group may have inherited the streams: do not wait for it.
            ended = [reader.ended for reader in self._readers]
            await asyncio.wait(ended, timeout=self._limits.grace_seconds)
        if self.overflow.done():
            raise OutOfSpace(f"{self._limits.output // MIB} MiB of output", self.tail)
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
            # A second cancellation gets here too; _reap then runs later, by the event loop.
            if not self.exited.done():
                os.killpg(self._process.pid, signal.SIGKILL)
            for reader in self._readers:
                reader.close()
        await asyncio.wait([self.exited])

    def _reap(self) -> None:
        """Kill the group.  Its leader is a zombie, so the pid and the group's id are still taken."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._watched is not None:
            self._watched.close()
        self.code = self._process.wait()
        for reader in self._readers:
            reader.skip_rests()
        self.exited.set_result(None)

    def _take(self, chunk: bytes, take: Callable[[bytes], None]) -> None:
        """Drop output beyond the limit, which is read so that the program can exit."""
        self._left -= len(chunk)
        if self._left >= 0:
            take(chunk)
        elif not self.overflow.done():
            self.overflow.set_result(None)


def _start(
    command: Sequence[str], environment: Mapping[str, str], limits: Limits, *, has_input: bool
) -> tuple[subprocess.Popen[bytes], int]:
    """Return the process and its pidfd.  Raise ProgramNotStarted."""
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        try:
            _restrict(process.pid, limits)
            return process, os.pidfd_open(process.pid)
        except OSError:  # too many open files
            with process:
                os.killpg(process.pid, signal.SIGKILL)
            raise
    except FileNotFoundError:
        raise ProgramMissing(command[0]) from None
    except OSError as error:
        raise ProgramNotStarted(f"cannot start {command[0]}: {error.strerror}") from None


def _restrict(pid: int, limits: Limits) -> None:
    with suppress(ProcessLookupError, PermissionError):
        priority = os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, pid, min(priority, _NICEST))
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_DATA, limits.data),
        (resource.RLIMIT_FSIZE, limits.file),
    ):
        if limit is not None:
            _limit(pid, kind, limit)


def _limit(pid: int, kind: int, limit: int) -> None:
    """Set a limit of a process, and of children that it started before it had the limit."""
    with suppress(ProcessLookupError, FileNotFoundError):
        resource.prlimit(pid, kind, (limit, limit))
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:  # noqa: PTH123
            for child in children.read().split():
                _limit(int(child), kind, limit)

"""Processes the tests own: started with a log file, awaited, ended by id."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.ownership import Owner, start_process
from tests.waiting import wait_until

SYSTEM_PATH = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str, path: str = SYSTEM_PATH) -> str:
    """The path of a program; its absence is a failure, never a reason to skip."""
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed; `make test` installs it"
    return found


def run(
    *command: str, timeout: float = 300, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end whatever the exit status; both streams are kept, as text."""
    return subprocess.run(
        [program(command[0]), *command[1:]],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env={**os.environ, "PATH": SYSTEM_PATH, **(env or {})},
        check=False,
    )


def succeed(*command: str, timeout: float = 300, env: Mapping[str, str] | None = None) -> str:
    """Run, insist on success, return standard output."""
    done = run(*command, timeout=timeout, env=env)
    assert done.returncode == 0, (
        f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def both_streams(*command: str) -> str:
    """Run, insist on success, return standard output and then standard error."""
    done = run(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class Process:
    """A child in a session of its own, so that it can be ended with all that it started.

    It ends with its owner at the latest; as a context manager with the block.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        owner: Owner | None = None,
    ) -> None:
        self.log_file = log
        # Tests that run in the background of a shell are deaf to Ctrl-C, and so would this be.
        hearing = [program("env"), "--default-signal=INT"]
        lifeline = [*hearing, program("setpriv"), "--pdeathsig", "TERM"]
        with log.open("ab") as out:
            self._popen: subprocess.Popen[bytes] = start_process(
                [*lifeline, program(command[0]), *command[1:]],
                owner,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": SYSTEM_PATH, **(env or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        # One that hangs must not hide the error of the block.
        with suppress(*() if error is None else (AssertionError,)):
            self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = 300) -> Self:
        """Return when it is ready; otherwise kill it, since its owner is not made."""

        def is_ready() -> bool:
            assert self._popen.poll() is None, f"ended before it was ready:\n{self.log[-4000:]}"
            return ready()

        try:
            wait_until(is_ready, seconds=timeout, explain=lambda: self.log[-4000:])
        except BaseException:
            self.kill()
            raise
        return self

    def interrupt(self) -> None:
        """As Ctrl-C does; return when the signal has arrived.

        Signals that are pending together are delivered as one.
        """
        self._popen.send_signal(signal.SIGINT)
        wait_until(lambda: self._popen.poll() is not None or not self._is_pending(signal.SIGINT))

    def _is_pending(self, number: signal.Signals) -> bool:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return any(
            int(line.split()[1], 16) & 1 << (number - 1)
            for line in status.splitlines()
            if line.startswith(("SigPnd:", "ShdPnd:"))
        )

    def pause(self) -> None:
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def wait(self, *, timeout: float) -> int:
        return self._popen.wait(timeout)

    def stop(self, *, timeout: float = 300) -> int:
        """Ask it to end; returns its exit status. One that will not end is killed, and a failure."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still there {timeout} s after SIGTERM:\n{self.log[-4000:]}"
            ) from None

    def kill(self) -> None:
        """Power off: SIGKILL to the process and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(300)

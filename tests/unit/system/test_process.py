import asyncio
import errno
import os
import re
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.system.process import (
    Limits,
    OutOfSpace,
    OutOfTime,
    ProgramMissing,
    ProgramNotStarted,
    run,
)
from tests.ownership import start_process
from tests.waiting import LIMITS as TIME_LIMITS
from tests.waiting import turns, until, wait_until


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


ENVIRONMENT = {"PATH": os.defpath}
LIMITS = Limits(seconds=300, grace_seconds=0.5)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter between opening and reading
        return False
    return state != "Z"


async def wait_for_end(pid: int) -> None:
    await until(lambda: not alive(pid))


def is_written(file: Path) -> bool:
    return file.exists() and file.read_text().endswith("\n")


async def number_in(file: Path) -> int:
    await until(lambda: is_written(file))
    return int(file.read_text())


async def out_of_time(script: str, begun: Path, *, grace_seconds: float = 0.5) -> OutOfTime:
    """Return the failure of a shell script that a limit ended after it had written the file."""
    for seconds in TIME_LIMITS:
        begun.unlink(missing_ok=True)
        limits = Limits(seconds=seconds, grace_seconds=grace_seconds)
        with pytest.raises(OutOfTime) as failure:
            await run(["sh", "-c", script], environment=ENVIRONMENT, limits=limits)
        if is_written(begun):
            return failure.value
    raise AssertionError("the script never began")


async def test_a_program_returns_its_output_and_its_code() -> None:
    finished = await run(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], environment=ENVIRONMENT, limits=LIMITS
    )

    assert (finished.code, finished.stdout, finished.stderr) == (3, b"out\n", b"err\n")


async def test_both_streams_are_read_together() -> None:
    # 4 MiB on either stream: reading one to its end before the other would never end.
    script = "import sys, os; [os.write(fd, b'x' * 65536) for _ in range(64) for fd in (2, 1)]"

    finished = await run([sys.executable, "-c", script], environment=ENVIRONMENT, limits=LIMITS)

    assert len(finished.stdout) == 64 * 65536


@pytest.mark.slow
async def test_only_the_end_of_standard_error_is_kept() -> None:
    limits = Limits(seconds=300, tail=1000)

    finished = await run(
        ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i >&2; i=$((i+1)); done"],
        environment=ENVIRONMENT,
        limits=limits,
    )

    assert len(finished.stderr) == 1000
    assert finished.stderr.endswith(b"19998\n19999\n")


KILLED = """
import asyncio, os, sys
from app.system.process import Limits, run

command = ["sh", "-c", "sleep 300 & echo $! >$1; sleep 300", "sh", sys.argv[1]]
environment = {"PATH": os.defpath}
asyncio.run(
    run(command, environment=environment, limits=Limits(seconds=300), killed_with_server=True)
)
"""


@pytest.mark.slow
async def test_a_program_and_its_children_are_killed_with_the_server(tmp_path: Path) -> None:
    file = tmp_path / "child"
    server = start_process([sys.executable, "-c", KILLED, file])
    child = await number_in(file)

    server.kill()
    server.wait()

    await wait_for_end(child)


async def test_a_program_that_would_be_killed_with_the_server_runs_as_others() -> None:
    script = "cat; echo out; echo err >&2; exit 3"

    finished = await run(
        ["sh", "-c", script], environment=ENVIRONMENT, limits=LIMITS, killed_with_server=True
    )

    assert (finished.code, finished.stdout, finished.stderr) == (3, b"out\n", b"err\n")
    with pytest.raises(ProgramMissing):
        await run(["absent"], environment=ENVIRONMENT, limits=LIMITS, killed_with_server=True)


async def test_a_program_that_would_be_killed_with_the_server_has_its_time_to_clean_up(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    script = 'trap "echo clean >>$1; exit" TERM; echo 0 >$1; while :; do sleep 0.01; done'
    limits = Limits(seconds=300, grace_seconds=20)
    running = asyncio.create_task(
        run(
            ["sh", "-c", script, "sh", str(file)],
            environment=ENVIRONMENT,
            limits=limits,
            killed_with_server=True,
        )
    )
    await number_in(file)

    running.cancel()
    await asyncio.wait([running])

    assert file.read_text() == "0\nclean\n"


async def test_lines_are_reported_as_they_appear_with_an_unfinished_last_one() -> None:
    heard: list[str] = []

    await run(
        ["sh", "-c", "printf 'one\\ntwo\\n' >&2; printf 'thr' >&2; sleep 0.1; printf ee >&2"],
        environment=ENVIRONMENT,
        limits=LIMITS,
        on_line=heard.append,
    )

    assert heard == ["one", "two", "three"]


async def test_a_line_without_an_end_is_handed_out_in_pieces() -> None:
    heard: list[str] = []
    script = "import os; [os.write(2, b'x' * 60000) for _ in range(10)]"

    await run(
        [sys.executable, "-c", script],
        environment=ENVIRONMENT,
        limits=LIMITS,
        on_line=heard.append,
    )

    assert "".join(heard) == "x" * 600_000
    assert max(map(len, heard)) < 200_000


async def test_the_environment_is_made_from_nothing() -> None:
    finished = await run(["env"], environment={"PATH": os.defpath, "A": "b"}, limits=LIMITS)

    assert set(finished.stdout.split()) == {f"PATH={os.defpath}".encode(), b"A=b"}


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        await run(["no-such-program"], environment=ENVIRONMENT, limits=LIMITS)


@pytest.mark.parametrize(("mode", "reason"), [(0o644, "Permission"), (0o755, "Exec format error")])
async def test_a_program_that_cannot_be_executed_is_named(
    tmp_path: Path, mode: int, reason: str
) -> None:
    (tmp_path / "odd").write_text("no program")
    (tmp_path / "odd").chmod(mode)

    with pytest.raises(ProgramNotStarted, match=f"cannot start odd: {reason}"):
        await run(["odd"], environment={"PATH": str(tmp_path)}, limits=LIMITS)


async def test_a_program_is_not_left_running_without_a_descriptor_to_watch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def no_descriptor(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", no_descriptor)
    before = set(Path("/proc/self/fd").iterdir())

    with pytest.raises(ProgramNotStarted, match="cannot start sleep: Too many open files"):
        await run(["sleep", "1000"], environment=ENVIRONMENT, limits=LIMITS)

    assert not Path(f"/proc/{started[0]}").exists()
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.slow
async def test_a_time_limit_ends_the_program_and_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {pid}; echo begun >&2; wait"

    failure = await out_of_time(script, pid)

    assert re.search(r"limit of (0\.5|5|50) s", str(failure))
    assert failure.tail == b"begun\n"
    await wait_for_end(int(pid.read_text()))


@pytest.mark.slow
async def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done"

    await out_of_time(script, pid, grace_seconds=0.2)

    await wait_for_end(int(pid.read_text()))


@pytest.mark.slow
async def test_a_program_may_clean_up_before_it_ends_however_much_it_prints(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    # More than a pipe holds: the program would hang if its output were not read.
    script = (
        f"trap 'head -c 300000 /dev/zero >&2; touch {tmp_path}/clean; exit' TERM;"
        f" echo $$ > {pid}; while :; do sleep 0.05; done"
    )

    await out_of_time(script, pid, grace_seconds=60)

    assert (tmp_path / "clean").exists()


async def test_a_cancelled_task_leaves_no_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(
        run(
            ["sh", "-c", f"sleep 100 & echo $! > {pid}; wait"],
            environment=ENVIRONMENT,
            limits=LIMITS,
        )
    )
    child = await number_in(pid)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await wait_for_end(child)


async def test_a_task_cancelled_twice_leaves_no_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    signalled = tmp_path / "signalled"
    script = f"trap ': > {signalled}' TERM; echo $$ > {pid}; while :; do sleep 0.05; done"
    limits = Limits(seconds=300, grace_seconds=60)
    task = asyncio.create_task(run(["sh", "-c", script], environment=ENVIRONMENT, limits=limits))
    child = await number_in(pid)

    task.cancel()
    await until(signalled.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await until(lambda: not Path(f"/proc/{child}").exists())
    await turns()  # the loop handles the end of the process, which no task waits for


@pytest.mark.parametrize("turns", range(8))
async def test_a_task_cancelled_while_the_program_starts_leaves_no_pipe(turns: int) -> None:
    await run(["true"], environment=ENVIRONMENT, limits=LIMITS)  # the loop opens files of its own
    before = open_files()
    task = asyncio.create_task(run(["sleep", "60"], environment=ENVIRONMENT, limits=LIMITS))
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert open_files() == before


@pytest.mark.slow
async def test_threads_that_work_at_the_same_time_keep_their_files(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(4)]
    lost: list[str] = []
    ended = threading.Event()

    def read_again_and_again(file: Path) -> None:
        while not ended.is_set():
            try:
                descriptor = os.open(file, os.O_RDONLY)
                content = os.read(descriptor, 100)
                os.close(descriptor)
            except OSError as error:
                lost.append(str(error))
            else:
                if content.decode() != file.name:
                    lost.append("another file's bytes")

    with ThreadPoolExecutor(len(files)) as pool:
        for file in files:
            file.write_text(file.name)
            pool.submit(read_again_and_again, file)
        try:
            for _ in range(50):
                programs = [run(["true"], environment=ENVIRONMENT, limits=LIMITS) for _ in range(5)]
                await asyncio.gather(*programs)
        finally:
            ended.set()

    assert lost == []


def open_files() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


async def test_output_without_end_is_a_limit_of_its_own() -> None:
    limits = Limits(seconds=300, output=3 * 1024 * 1024, grace_seconds=0.5)

    with pytest.raises(OutOfSpace, match="3 MiB"):
        await run(["yes"], environment=ENVIRONMENT, limits=limits)


# The limit is set while the program starts.
MEMORY_EATER = """
import resource, time
while resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY: time.sleep(0.001)
bytearray(400 * 1024 * 1024)
"""


async def test_memory_is_limited() -> None:
    limits = Limits(seconds=300, memory=200 * 1024 * 1024)

    finished = await run(
        [sys.executable, "-c", MEMORY_EATER],
        environment=ENVIRONMENT,
        limits=limits,
    )

    assert finished.code == 1
    assert b"MemoryError" in finished.stderr


async def test_children_that_start_before_the_limits_are_set_have_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "child"
    set_priority = os.setpriority

    def late(*arguments: int) -> None:
        wait_until(lambda: is_written(file))
        set_priority(*arguments)

    monkeypatch.setattr(os, "setpriority", late)
    script = f"(echo $$ > {file}; while [ -e {file} ]; do sleep 0.01; done; ulimit -f) & wait"
    running = asyncio.create_task(
        run(
            ["bash", "-c", script.replace("$$", "$BASHPID")],
            environment=ENVIRONMENT,
            limits=Limits(seconds=300, file=1 << 20),
        )
    )
    await number_in(file)
    await turns()
    file.unlink()

    assert (await running).stdout == b"1024\n"


@pytest.mark.slow
async def test_a_process_that_inherits_the_streams_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    # It would end with the group of the shell, which ends once it has a session of its own.
    apart = f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000' &"
    finished = await run(
        ["sh", "-c", f"{apart} while [ ! -s {pid} ]; do sleep 0.01; done"],
        environment=ENVIRONMENT,
        limits=Limits(seconds=60, grace_seconds=0.2),
    )
    process = await number_in(pid)

    assert finished.code == 0
    assert alive(process)
    os.kill(process, signal.SIGKILL)

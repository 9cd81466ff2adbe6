"""Processes of failing tests are ended before the next test."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ownership import start_process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TESTS = """
import gc
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.process import Process
from tests.ownership import start_process

STARTED = []


def sleep():
    STARTED.append(start_process(["sleep", "600"], stdout=subprocess.PIPE).pid)


def service(directory):
    script = "(trap '' TERM; exec sleep 600) & echo $!; wait"
    process = Process(["sh", "-c", script], log=directory / "log")
    process.wait_until(lambda: process.log.endswith("\\n"), timeout=30)
    STARTED.extend([process.pid, int(process.log)])


@contextmanager
def careless():
    sleep()
    yield
    raise AssertionError("not reached by an error")


@pytest.fixture(scope="module")
def module_process():
    sleep()
    return STARTED[-1]


@pytest.fixture
def broken(tmp_path):
    sleep()
    raise OSError("setup")


def test_in_the_middle(tmp_path, module_process):
    sleep()
    service(tmp_path)
    with careless():
        assert False


def test_setup(broken):
    pass


def test_never_ready(tmp_path):
    process = Process(["sleep", "600"], log=tmp_path / "log")
    STARTED.append(process.pid)
    process.wait_until(lambda: False, timeout=0.1)


def test_left():
    sleep()


def test_after_all(module_process):
    gc.collect()
    os.kill(module_process, 0)
    others = [pid for pid in STARTED if pid != module_process]
    assert len(others) == 7
    assert [pid for pid in others if is_running(pid)] == []


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
"""


@pytest.fixture(scope="session")
def session_process() -> Iterator[subprocess.Popen[bytes]]:
    process = start_process(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(params=["first", "second"])
def requested(request: pytest.FixtureRequest) -> object:
    return request.getfixturevalue("session_process")


def test_a_process_of_the_session_outlives_the_test_that_requested_it(
    requested: subprocess.Popen[bytes],
) -> None:
    assert requested.poll() is None


def test_a_failing_test_leaves_no_process_to_the_next_test(tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text(TESTS)
    options = ["-p", "tests.ownership", "-p", "no:cacheprovider", "-W", "error", "-q", "-rA"]
    options += [f"--basetemp={tmp_path}/base"]  # without one, pytest removes those of other runs

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", tmp_path, *options, file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    outcomes = [
        line.partition("::")[0].split()[0] + " " + line.partition("::")[2].split()[0]
        for line in done.stdout.splitlines()
        if line.startswith(("PASSED", "FAILED", "ERROR ")) and "::" in line
    ]
    assert sorted(outcomes) == [
        "ERROR test_left",
        "ERROR test_setup",
        "FAILED test_in_the_middle",
        "FAILED test_never_ready",
        "PASSED test_after_all",
        "PASSED test_left",
    ], done.stdout
    assert "the test left processes: ['sleep', '600']" in done.stdout


def test_all_processes_of_tests_are_started_by_their_owner() -> None:
    callers = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("*.py")
        if re.search(r"\bPopen\(", file.read_text())
    ]

    assert callers == ["tests/ownership.py"]

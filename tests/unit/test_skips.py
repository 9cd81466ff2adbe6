"""A skipped test is a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SKIPPING = """
import pytest

@pytest.fixture
def lacking():
    pytest.skip("UNTESTED, needs a daemon")

def test_that_needs_it(lacking):
    pass

def test_that_looks_for_it():
    pytest.skip("UNTESTED, needs a client")

@pytest.mark.may_skip
def test_that_may_skip():
    pytest.skip("UNTESTED, gone from the archive")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "status", "outcome"),
    [({}, 0, "3 skipped"), ({"CI": "true"}, 1, "1 skipped, 1 error")],
    ids=["anywhere", "CI"],
)
def test_a_skip_is_a_failure_in_ci(
    variables: dict[str, str], status: int, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += [f"--basetemp={tmp_path}/base"]  # without one, pytest removes those of other runs
    environment = {name: value for name, value in os.environ.items() if name != "CI"}

    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), str(tmp_path)],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status, done.stdout
    assert outcome in done.stdout
    if status:
        assert "needs a daemon" in done.stdout
        assert "needs a client" in done.stdout

"""A kept process gets requests from files, each when it is the request's turn."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.builder.nix.programs import read_only_session
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.repl_pool import ReplPool
from app.builder.nix.programs.session import RequestFailed
from app.system.directory_trees import remove_tree
from app.system.environment import child_environment
from app.system.process import OutOfTime
from app.system.workers import Workers
from tests.unit.builder.nix.programs.evaluations import EVALUATION

# Handles requests as nix/read-only.nix does; some names have an effect.
PROGRAM = """#!{python}
import json, os, sys
subject = json.loads(sys.argv[sys.argv.index("subject") + 1])
directory, marker = subject["directory"], subject["marker"]
assert sys.stdin.read() == ""
for number in range(subject["requests"]):
    if number:
        open(f"{{directory}}/turn-{{number}}").read()
    request = json.load(open(f"{{directory}}/request-{{number}}"))
    if request["names"] == ["ends"]:
        sys.exit("error: evaluation aborted")
    if request["names"] == ["waits"]:
        open(f"{{directory}}/turn-{{number + 1}}").read()
    if request["names"] == ["unmarked"]:
        print(marker + "\\ntrace:", marker, file=sys.stderr)
        continue
    files = sorted(os.listdir(directory)) if request["names"] == ["files"] else os.getpid()
    rows = [[request["function"], name, files] for name in request["names"]]
    print("warning: noise\\ntrace:", marker, json.dumps(rows), marker, file=sys.stderr, flush=True)
"""
READ_ONLY = replace(EVALUATION, revision="1", read_only=True)


def rows(response: list[object]) -> list[list[Any]]:
    """Return the function, the name and more of each row."""
    return [row for row in response if isinstance(row, list)]


@pytest.fixture
def starts() -> Counter[str]:
    return Counter()


@pytest.fixture
async def pool(tmp_path: Path, starts: Counter[str]) -> AsyncIterator[ReplPool]:
    program = tmp_path / "bin" / "nix-instantiate"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    workers = Workers(2)
    configuration = NixConfiguration(
        environment=child_environment({"PATH": str(program.parent)}, home=tmp_path / "home"),
        directory=tmp_path / "a directory",
        workers=workers,
    )
    pool = ReplPool(
        expressions=Path("/srv/nix"),
        settings=(),
        configuration=configuration,
        starts=starts,
        workers=workers,
    )
    yield pool
    await pool.close()
    await configuration.close()
    assert list((tmp_path / "a directory").glob("*")) == []


async def test_one_process_handles_requests_in_their_order(
    pool: ReplPool, starts: Counter[str]
) -> None:
    first = await pool.request(READ_ONLY, ["a", "b"], rows)
    second = await pool.request(READ_ONLY, ['"', "${c}"], rows, "kinds")

    assert first is not None
    process = first[0][2]
    assert first == [["answer", "a", process], ["answer", "b", process]]
    assert second == [["kinds", '"', process], ["kinds", "${c}", process]]
    assert (starts["evaluator"], pool.answered) == (1, 2)


async def test_requests_at_once_have_their_own_rows(pool: ReplPool) -> None:
    names = [str(number) for number in range(20)]

    found = await asyncio.gather(*(pool.request(READ_ONLY, [name], rows) for name in names))

    assert [one and one[0][1] for one in found] == names


async def test_files_of_past_requests_are_removed(pool: ReplPool) -> None:
    for _ in range(3):
        await pool.request(READ_ONLY, ["a"], rows)

    found = await pool.request(READ_ONLY, ["files"], rows)

    assert found is not None
    assert found[0][2] == ["request-3", "turn-3", "turn-4"]


async def test_an_error_ends_the_process_and_is_remembered_for_the_revision(
    pool: ReplPool, starts: Counter[str]
) -> None:
    assert pool.is_readable(READ_ONLY)
    assert await pool.request(READ_ONLY, ["ends"], rows) is None

    assert not pool.is_readable(READ_ONLY)
    assert pool.is_readable(replace(READ_ONLY, revision="2"))
    assert await pool.request(READ_ONLY, ["a"], rows) is not None
    assert starts["evaluator"] == 2


async def test_output_without_a_response_is_a_failure(pool: ReplPool) -> None:
    with pytest.raises(RequestFailed):
        await pool.request(READ_ONLY, ["unmarked"], rows)


async def test_a_request_that_takes_too_long_ends_the_process(
    pool: ReplPool, starts: Counter[str]
) -> None:
    brief = replace(READ_ONLY, seconds=0.01)

    with pytest.raises(OutOfTime):
        await pool.request(brief, ["waits"], rows)

    assert pool.running(brief) == brief
    assert starts["evaluator"] == 1


async def test_a_process_handles_no_more_requests_than_it_was_started_for(
    pool: ReplPool, starts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only_session, "_MOST_REQUESTS", 2)

    for name in ("a", "b", "c"):
        assert await pool.request(READ_ONLY, [name], rows) is not None

    assert starts["evaluator"] == 2
    assert pool.is_readable(READ_ONLY)


async def test_requests_are_handled_after_the_state_directory_was_emptied(
    pool: ReplPool, starts: Counter[str], tmp_path: Path
) -> None:
    await pool.request(READ_ONLY, ["a"], rows)
    remove_tree(tmp_path / "a directory")

    # The caller starts a process that needs no files, and later ones are kept again.
    assert await pool.request(READ_ONLY, ["a"], rows) is None
    for _ in range(2):
        assert await pool.request(READ_ONLY, ["a"], rows) is not None
    assert pool.is_readable(READ_ONLY)
    assert starts["evaluator"] == 2


async def test_requests_other_than_for_packages_use_the_process_that_runs(pool: ReplPool) -> None:
    writing = replace(READ_ONLY, read_only=False)
    assert pool.running(writing) == writing

    await pool.request(READ_ONLY, ["a"], rows)

    assert pool.running(writing) == READ_ONLY
    await pool.invalidate()
    assert pool.running(writing) == writing


@pytest.mark.parametrize("change", [{"restricted": True}, {"revision": None}])
async def test_no_process_is_kept_for_an_untrusted_or_changing_set(
    pool: ReplPool, starts: Counter[str], change: dict[str, object]
) -> None:
    evaluation = replace(READ_ONLY, **change)  # type: ignore[arg-type]

    assert await pool.request(evaluation, ["a"], rows) is None
    assert starts == Counter()

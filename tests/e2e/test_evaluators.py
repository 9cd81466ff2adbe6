"""Evaluators that stay: the same answers as a process for each question, whatever happens."""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.evaluation.evaluator import opened
from app.builder.evaluation.isolation import evaluate_apart
from app.builder.names.attribute_names import list_names
from app.builder.nix.closure import StorePath
from app.builder.nix.programs import repl_pool as evaluators
from app.builder.nix.results import EvaluationResult, NotFound
from app.errors import EvaluationFailed, PackagesUnknown, RegistryError
from tests.e2e.door import PROJECT, SETS, Door, MakeDoor
from tests.e2e.server import ServerFactory
from tests.waiting import turns, until, wait_until

pytestmark = pytest.mark.e2e

LOOKUP = SETS / "small" / "lookup.nix"
DEBIAN = PROJECT / "nix" / "debian"
PACKAGE = 'derivation { name = "NAME"; inherit system; builder = "/bin/sh"; }'


def written(directory: Path, **packages: str) -> Path:
    """A package set of these expressions."""
    directory.mkdir(exist_ok=True)
    lines = "".join(f"{name} = {text};\n" for name, text in packages.items())
    file = directory / "set.nix"
    file.write_text(f"{{ system, ... }}: rec {{\n{lines}}}")
    return file


def running(*, of: int | None = None, home: Path | None = None) -> list[int]:
    """The evaluators of a process, or those whose home is below a directory."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (process / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            continue
        ours = parent == of if home is None else f"HOME={home}".encode() in environment
        # The shell that passes requests to a read-only evaluator has the same arguments.
        kept = b"repl" in arguments or (
            arguments[0].endswith(b"nix-instantiate")
            and any(argument.endswith(b"read-only.nix") for argument in arguments)
        )
        if kept and ours:
            found.append(int(process.name))
    return found


def evaluator() -> int:
    (process,) = running(of=os.getpid())
    return process


def processor_time(process: int) -> int:
    """Return the used time in ticks of the clock."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def started() -> int:
    await until(lambda: running(of=os.getpid()))
    return evaluator()


async def ended(process: int) -> None:
    await until(lambda: process not in running(of=os.getpid()))


def deletes(path: StorePath) -> bool:
    """Delete it as a garbage collection would."""
    done = subprocess.run(["nix-store", "--delete", str(path)], check=False, capture_output=True)
    assert (done.returncode == 0) != Path(str(path)).exists()
    return done.returncode == 0


def forget_roots(process: int) -> None:
    """As if what it wrote had been collected against its will."""
    (Path("/nix/var/nix/temproots") / str(process)).unlink()


@pytest.fixture(params=["writing", "read-only"])
def either(request: pytest.FixtureRequest, make_door: MakeDoor) -> Door:
    """What a source may not build needs no derivation files."""
    return make_door(location=LOOKUP, build=request.param == "writing")


# ---- the same answers


async def answers(door: Door, names: Sequence[str], **ways: object) -> list[EvaluationResult | str]:
    found: list[EvaluationResult | str] = []
    for name in names:
        async with opened(await door.pinned()) as evaluation:
            asked = replace(evaluation, **ways)  # type: ignore[arg-type]
            try:
                found += await evaluate_apart(door.nix, asked, [name])
            except RegistryError as error:
                found.append(str(error))
    return found


@pytest.mark.parametrize("directory", [DEBIAN, SETS / "packages", SETS / "hostile"])
async def test_an_evaluator_has_the_results_of_a_process_for_each_request(
    make_door: MakeDoor, directory: Path
) -> None:
    door = make_door(location=directory, evaluation_seconds=5, evaluation_memory=1024)
    async with opened(await door.pinned()) as evaluation:
        names = (await list_names(door.nix, evaluation)).candidates
    # Whether a limit ends them or they end by themselves is a matter of the machine.
    slow = {"spins", "chatters", "eats", "hugeOutputs", "hugeMetadata", "deep", "fetches"}
    names = tuple(name for name in names if name not in slow)
    names = (*names, *(name.lower() for name in names if name != name.lower()), "nope", "lib")

    apart = await answers(door, names, revision=None)
    kept = await answers(door, names)
    read_only = await answers(door, names, read_only=True)

    assert dict(zip(names, kept, strict=True)) == dict(zip(names, apart, strict=True))
    assert dict(zip(names, read_only, strict=True)) == dict(zip(names, apart, strict=True))
    assert len(names) > 10


async def test_all_names_at_once_have_the_same_results_as_one_by_one(make_door: MakeDoor) -> None:
    door = make_door(location=DEBIAN)
    async with opened(await door.pinned()) as evaluation:
        names = (await list_names(door.nix, evaluation)).candidates
        together = await door.nix.evaluate(evaluation, names)
        apart = await door.nix.evaluate(replace(evaluation, revision=None), names)

    assert together == apart
    assert door.nix.starts["evaluator"] == 1


async def test_names_are_data(make_door: MakeDoor) -> None:
    hostile = make_door(location=SETS / "hostile")

    names = ['${builtins.abort "spliced"}', 'quote"quote', "it's", "new\nline"]
    found = [package.pname for package in await hostile.packages(*names)]

    assert found == ["dollar", "quote", "apostrophe", "newline"]
    assert hostile.nix.starts == Counter(evaluator=1)


@pytest.mark.parametrize(
    "name",
    ['"; abort "out"; "', "fine\nnixery.end", ":q", "''${x}''", "\\", '\\"', "\t", "é\U0001f600"],
)
async def test_names_that_would_be_typed_as_code_are_just_unknown(lookup: Door, name: str) -> None:
    with pytest.raises(PackagesUnknown):
        await lookup.package(name)

    assert lookup.nix.starts == Counter(evaluator=1)


# ---- one start for many questions


async def test_the_second_request_for_new_names_starts_nothing(either: Door) -> None:
    await either.packages("hello")
    before = either.nix.starts.copy()

    packages = await either.packages("2ping", "bashinteractive", "hello")

    assert [package.pname for package in packages] == ["2ping", "bash-interactive", "hello"]
    assert either.nix.starts == before == Counter(evaluator=1)


async def test_concurrent_requests_each_have_their_own_response(either: Door) -> None:
    names = ["hello", "bashInteractive", "_2ping", "github", "dotted.name", "Twin", "tWin", "many"]

    found = await asyncio.gather(*(either.package(name) for name in names))

    assert [package.attribute for package in found] == names
    assert either.nix.starts == Counter(evaluator=1)


async def test_an_untrusted_source_has_a_process_for_each_request(make_door: MakeDoor) -> None:
    strangers = make_door(location=LOOKUP, trusted=False)

    await strangers.package("hello")
    await strangers.package("2ping")

    assert strangers.nix.starts == Counter(evaluate=2)


async def test_names_that_take_long_to_type_are_evaluated_in_a_new_process(lookup: Door) -> None:
    names = [f"name-{number}-{'x' * 60}" for number in range(200)]

    with pytest.raises(PackagesUnknown) as failure:
        await lookup.packages(*names)

    assert failure.value.packages == tuple(names)
    assert lookup.nix.starts == Counter(evaluate=1)


async def test_policies_do_not_share_an_evaluator(make_door: MakeDoor) -> None:
    strict = make_door(location=LOOKUP)
    async with opened(await strict.pinned()) as evaluation:
        lax = replace(evaluation, allowed=replace(evaluation.allowed, unfree=True))
        await strict.nix.evaluate(evaluation, ["hello"])
        await strict.nix.evaluate(lax, ["hello"])
        await strict.nix.evaluate(evaluation, ["hello"])

    assert strict.nix.starts == Counter(evaluator=2)


# ---- no failure is another's


@pytest.mark.parametrize(
    "name", ["aborts", "recurses", "deep", "missing", "throws", "mistyped", "eats", "buildswhile"]
)
async def test_an_error_that_ends_one_request_leaves_the_next_right(
    make_door: MakeDoor, name: str
) -> None:
    hostile = make_door(location=SETS / "hostile", evaluation_memory=1024)
    await hostile.package("fine")

    asked = "buildswhileevaluating" if name == "buildswhile" else name
    with pytest.raises(EvaluationFailed, match=f"^{asked}: ."):
        await hostile.packages("fine", asked)
    also = await hostile.package("alsofine")

    assert also.pname == "also-fine"


UNCATCHABLE = {
    "aborts": 'abort "no"',
    "lacks": "{ }.foo",
    "calls": "({ a }: a) { }",
    "callsnumber": "1 2",
    "index": "builtins.elemAt [ ] 3",
    "recursion": "let x = x; in x",
    "parses": 'builtins.fromJSON "{"',
    "nofile": "import ./nope.nix",
}


@pytest.mark.parametrize("name", UNCATCHABLE)
async def test_an_error_that_nix_cannot_catch_is_evaluated_once_and_ends_no_evaluator(
    make_door: MakeDoor, tmp_path: Path, name: str
) -> None:
    package = PACKAGE.replace("NAME", "package-1")
    packages = {f"good{number}": package for number in range(9)}
    door = make_door(location=written(tmp_path / "set", **packages, **UNCATCHABLE))
    await door.package("good0")
    kept = evaluator()

    messages = set()
    for number in range(1, 9):
        with pytest.raises(EvaluationFailed, match=f"^{name}: .") as failure:
            await door.packages(name, f"good{number}")
        messages.add(str(failure.value))

    assert len(messages) == 1
    assert evaluator() == kept
    assert door.nix.starts == Counter(evaluator=1, evaluate=1)


async def test_one_of_many_that_ends_the_evaluation_is_found_by_the_evaluator_that_stays(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    packages = {f"good{number}": PACKAGE.replace("NAME", "package-1") for number in range(30)}
    door = make_door(location=written(tmp_path / "set", **packages, **UNCATCHABLE))

    with pytest.raises(EvaluationFailed, match=r"^aborts: evaluation aborted"):
        await door.packages(*packages, "aborts")

    assert door.nix.starts == Counter(evaluator=1, evaluate=1)


async def test_an_endless_request_ends_in_time_and_leaves_nothing(make_door: MakeDoor) -> None:
    hostile = make_door(location=SETS / "hostile", evaluation_seconds=3)
    await hostile.package("fine")
    first = evaluator()

    with pytest.raises(EvaluationFailed, match=r"^spins: evaluation stopped after 3 s"):
        await hostile.package("spins")

    assert first not in running(of=os.getpid())
    assert (await hostile.package("alsofine")).pname == "also-fine"


@pytest.mark.parametrize("name", ["spins", "eats"])
async def test_a_name_that_a_limit_ended_is_not_evaluated_again_for_a_while(
    make_door: MakeDoor, name: str
) -> None:
    hostile = make_door(
        location=SETS / "hostile", evaluation_seconds=3, evaluation_memory=512, trusted=False
    )
    with pytest.raises(EvaluationFailed) as first:
        await hostile.package(name)
    before = hostile.nix.starts.copy()

    with pytest.raises(EvaluationFailed) as second:
        await hostile.packages(name)

    assert str(second.value) == str(first.value)
    assert hostile.nix.starts == before


async def test_a_long_request_delays_no_other(make_door: MakeDoor) -> None:
    hostile = make_door(location=SETS / "hostile", evaluation_seconds=20)
    spinning = asyncio.create_task(hostile.package("spins"))
    await started()

    fine = await hostile.package("fine")

    assert fine.pname == "fine"
    assert not spinning.done()
    spinning.cancel()
    await asyncio.gather(spinning, return_exceptions=True)


async def test_a_cancelled_request_leaves_no_response_for_the_next(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    # More than any machine does before the request is cancelled.
    slow = """
      let each = f: builtins.foldl' (last: n: f n) package (builtins.genList (n: n) 3000);
      in each (a: each (b: each (c: package)))
    """
    package = PACKAGE.replace("NAME", "package-1")
    door = make_door(location=written(tmp_path / "set", package=package, slow=slow, other=package))
    await door.package("package")
    first = evaluator()
    before = processor_time(first)
    asking = asyncio.create_task(door.package("slow"))
    await until(lambda: processor_time(first) > before)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert asking.cancelled()
    assert (await door.package("other")).attribute == "other"
    assert first not in running(of=os.getpid())


async def test_every_response_is_right_among_cancellations_failures_and_kills(
    lookup: Door,
) -> None:
    drawn = random.Random(4)
    names = ["hello", "_2ping", "github", "GitHub", "many", "throws", "nope", "version", "2ping"]
    async with opened(await lookup.pinned()) as evaluation:
        apart = replace(evaluation, revision=None)
        right = {name: await evaluate_apart(lookup.nix, apart, [name]) for name in names}

        async def ask(limit: float | None) -> None:
            chosen = drawn.sample(names, drawn.randint(1, 4))
            async with asyncio.timeout(limit):
                # A signal may end a question as an error does; then the names are asked for apart.
                found = await evaluate_apart(lookup.nix, evaluation, chosen)
            assert found == tuple(answer for name in chosen for answer in right[name])

        async def disturb() -> None:
            for _ in range(20):
                await asyncio.sleep(drawn.uniform(0, 0.1))
                for process in running(of=os.getpid()):
                    os.kill(process, drawn.choice([signal.SIGKILL, signal.SIGTERM]))

        disturbing = asyncio.create_task(disturb())
        limits = [drawn.choice([0.001, 0.01, 0.1, None, None]) for _ in range(200)]
        asked = [ask(limit) for limit in limits]
        outcomes = [
            outcome
            for n in range(0, len(asked), 5)
            for outcome in await asyncio.gather(*asked[n : n + 5], return_exceptions=True)
        ]
        await disturbing
    await lookup.nix.close()

    assert all(isinstance(outcome, TimeoutError | None) for outcome in outcomes)
    assert all(limit or outcome is None for limit, outcome in zip(limits, outcomes, strict=True)), (
        outcomes
    )
    assert running(of=os.getpid()) == []


# ---- ends and new beginnings


async def test_a_killed_evaluator_is_replaced(either: Door) -> None:
    await either.package("hello")
    process = evaluator()

    os.kill(process, signal.SIGKILL)
    await ended(process)
    await until(lambda: not Path(f"/proc/{process}").exists())
    await turns()  # the loop handles its end

    assert (await either.package("2ping")).pname == "2ping"
    assert either.nix.starts == Counter(evaluator=2)


async def test_an_evaluator_killed_during_a_request_causes_no_error(make_door: MakeDoor) -> None:
    hostile = make_door(location=SETS / "hostile", evaluation_seconds=4)
    asking = asyncio.create_task(hostile.packages("fine", "spins"))

    os.kill(await started(), signal.SIGKILL)

    with pytest.raises(EvaluationFailed, match=r"^spins: evaluation stopped after"):
        await asking
    assert hostile.nix.starts["evaluate"] > 0


async def test_a_grown_evaluator_is_ended_after_its_response(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    package = PACKAGE.replace("NAME", "package-1")
    big = f"let long = builtins.genList (n: n + 1) 2500000; in builtins.deepSeq long ({package} // {{ inherit long; }})"
    door = make_door(
        location=written(tmp_path / "set", big=big, small=package), evaluation_memory=1024
    )

    assert (await door.package("big")).pname == "package"

    assert running(of=os.getpid()) == []
    assert (await door.package("small")).pname == "package"
    assert door.nix.starts == Counter(evaluator=2)


async def test_the_longest_unused_goes_when_there_are_too_many(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    package = PACKAGE.replace("NAME", "package-1")
    made = [
        make_door(location=written(tmp_path / f"set{n}", one=package, other=package))
        for n in range(5)
    ]
    nix = made[0].nix

    async def ask(door: Door, name: str) -> None:
        async with opened(await door.pinned()) as evaluation:
            await nix.evaluate(evaluation, [name])

    for door in made:
        await ask(door, "one")
    await ask(made[4], "other")

    assert len(running(of=os.getpid())) == 4
    assert nix.starts["evaluator"] == 5
    await ask(made[0], "other")
    assert nix.starts["evaluator"] == 6


async def test_an_unused_evaluator_is_stopped(
    either: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluators, "_IDLE_SECONDS", 0.2)
    asking = asyncio.create_task(either.package("hello"))
    process = await started()  # it may have ended when the request has
    await asking

    await ended(process)

    assert (await either.package("2ping")).pname == "2ping"
    assert either.nix.starts == Counter(evaluator=2)


async def test_all_are_ended_when_the_door_closes(either: Door) -> None:
    await either.package("hello")
    assert running(of=os.getpid())

    await either.nix.close()

    assert running(of=os.getpid()) == []


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_leaves_no_evaluator_behind(
    new_server: ServerFactory, how: str, tmp_path: Path
) -> None:
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "team"\nkind = "path"\nlocation = "{LOOKUP}"\nbuild = false\n'
    )
    server = new_server(NIXERY_CONFIG=str(settings))
    server.digest("hello")
    assert server.get("/v2/team/nope/manifests/latest").status_code == 404
    home = server.storage.parent / "state" / "home"
    assert len(running(home=home)) == 2

    if how == "stopped":
        server.stop()
    else:
        server.kill()  # with its group, to which no evaluator belongs

    wait_until(lambda: running(home=home) == [])


# ---- the world changes


async def test_a_changed_directory_is_evaluated_again(make_door: MakeDoor, tmp_path: Path) -> None:
    versions = {n: PACKAGE.replace("NAME", f"package-{n}") for n in (1, 2)}
    file = written(tmp_path / "set", one=versions[1], two=versions[1])
    door = make_door(location=file, revision_seconds=0)
    await door.package("one")

    written(tmp_path / "set", one=versions[2], two=versions[2])

    assert (await door.package("two")).version == "2"
    assert (await door.package("one")).version == "2"


async def test_what_was_read_while_files_changed_is_not_kept(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    """The evaluator reads a file that is changed, and changed back before the next question."""
    file = written(tmp_path / "set", one="import ./one.nix system", two="import ./one.nix system")
    inner = tmp_path / "set" / "one.nix"
    text = f"system: {PACKAGE}"
    inner.write_text(text.replace("NAME", "package-1"))
    door = make_door(location=tmp_path / "set", revision_seconds=0)
    (tmp_path / "set" / "default.nix").write_text(file.read_text())
    pinned = await door.pinned()

    async def ask_while_it_changes() -> tuple[EvaluationResult, ...]:
        async with opened(pinned) as evaluation:
            inner.write_text(text.replace("NAME", "package-2"))
            return await door.nix.evaluate(evaluation, ["one"])

    with pytest.raises(RegistryError, match="is being changed"):
        await ask_while_it_changes()
    inner.write_text(text.replace("NAME", "package-1"))

    assert (await door.package("two")).version == "1"


async def test_a_derivation_deleted_under_an_evaluator_is_written_again(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    script = 'args = [ "-c" "echo > $out" ]; builder'
    package = PACKAGE.replace("builder", script)
    name = f"package-{os.getpid()}-{time.time_ns()}"
    door = make_door(location=written(tmp_path / "set", one=package.replace("NAME", name)))
    one = await door.package("one")
    assert not deletes(one.derivation), "what an evaluator wrote is safe while it lives"
    stale = evaluator()
    forget_roots(stale)
    assert deletes(one.derivation)

    await door.realise(one)

    assert Path(str(one.path)).exists()
    assert evaluator() != stale


async def test_an_evaluator_whose_derivations_are_gone_fails_by_itself(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    """What another package needs has been deleted: the evaluator cannot write, a process can."""
    name = f"inner-{os.getpid()}-{time.time_ns()}"
    door = make_door(
        location=written(
            tmp_path / "set",
            inner=PACKAGE.replace("NAME", name),
            outer=PACKAGE.replace("NAME", "outer").replace("builder", "inherit inner; builder"),
        )
    )
    inner = await door.package("inner")
    forget_roots(evaluator())
    assert deletes(inner.derivation)

    outer = await door.package("outer")

    assert Path(str(outer.derivation)).exists()
    assert Path(str(inner.derivation)).exists()


async def test_an_unknown_name_is_unknown_to_an_evaluator_too(lookup: Door) -> None:
    async with opened(await lookup.pinned()) as evaluation:
        assert await lookup.nix.evaluate(evaluation, ["nope"]) == (NotFound(),)

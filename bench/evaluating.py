"""Time to evaluate a new name: in evaluators that stay, and in a new Nix process.

usage: bench/evaluating.py [--packages DIRECTORY] [--rounds N]

All evaluate the same names one by one, in turns; the derivation files exist.  The first evaluation of
an evaluator starts it and imports the package set; it is shown separately.  So is a repeated name,
which a server evaluates only once.  A read-only evaluator writes no derivation files.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loguru import logger

from app.builder.names.attribute_names import list_names
from app.builder.nix.door import Allowed, Evaluation, PackageSet
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.roots import TemporaryRootsDirectory
from app.system.environment import child_environment
from app.system.workers import Workers
from bench.common import ROOT, small_set

_MIB = 1024 * 1024


async def milliseconds(nix: NixCommand, evaluation: Evaluation, name: str) -> float:
    begun = time.perf_counter()
    await nix.evaluate(evaluation, [name])
    return (time.perf_counter() - begun) * 1000


def show(what: str, times: Sequence[float]) -> float:
    median = statistics.median(times)
    print(f"{what:44}{median:9.2f} {min(times):9.2f} {max(times):9.2f} {len(times):6}")
    return median


async def measure(packages: Path, rounds: int, home: Path) -> None:
    workers = Workers(1)
    nix = NixCommand(
        configuration=NixConfiguration(
            environment=child_environment(os.environ, home=home),
            directory=home / "configuration",
            workers=workers,
        ),
        expressions=ROOT / "nix",
        roots=TemporaryRootsDirectory(directory=home / "roots", workers=workers),
        workers=workers,
        options={"build-users-group": ""} if os.geteuid() == 0 else {},
    )
    apart = Evaluation(
        source="measured",
        package_set=PackageSet("path", str(packages)),
        system=f"{os.uname().machine}-linux",
        allowed=Allowed(unfree=True, insecure=True, broken=True),
        restricted=False,
        seconds=120,
        memory=4096 * _MIB,
    )
    names = (await list_names(nix, apart)).candidates
    # Writing derivations for the first time is not measured.
    await nix.evaluate(apart, names)
    first: list[float] = []
    for number in range(10):
        first.append(await milliseconds(nix, replace(apart, revision=f"first {number}"), "hello"))
        await nix.close()
    started: list[float] = []
    new: dict[bool, list[float]] = {False: [], True: []}
    known: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        kept = replace(apart, revision=f"round {number}")
        for read_only in new:
            await nix.evaluate(replace(kept, read_only=read_only), ())
        for name in names:
            started.append(await milliseconds(nix, apart, name))
            for read_only, times in new.items():
                evaluation = replace(kept, read_only=read_only)
                times.append(await milliseconds(nix, evaluation, name))
                known[read_only].append(await milliseconds(nix, evaluation, name))
        assert nix.evaluators.is_readable(replace(kept, read_only=True))
    await nix.close()
    print(f"{'evaluation of one name':44}median ms       min       max  count")
    slow = show("new Nix process", started)
    show("evaluator, including its start", first)
    quick = show("evaluator, new name", new[False])
    show("evaluator, repeated name", known[False])
    show("read-only evaluator, new name", new[True])
    show("read-only evaluator, repeated name", known[True])
    print(f"{'new process / evaluator, new name':44}{slow / quick:9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--packages", type=Path, help="default: prepared now")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    packages = arguments.packages or small_set()
    logger.disable("app")
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory:
        asyncio.run(measure(packages, arguments.rounds, Path(directory)))


if __name__ == "__main__":
    main()

"""What it costs that evaluation writes derivation files, on a large set.

usage: bench/derivations.py [--count N] [--rounds N]

Nix evaluates the same derivations, in turns: read-only; writing them into a store that lacks them;
and writing them again, when the store has them.  Each time is that of a whole process.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

_SET = Path(__file__).resolve().parent / "derivations.nix"
_MODES = {
    "read-only": "--readonly-mode",
    "written": "--read-write-mode",
    "written before": "--read-write-mode",
}


def evaluate(mode: str, store: Path, count: int, salt: str) -> tuple[float, float]:
    """Return seconds, and seconds of CPU."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [
            *("nix-instantiate", "--eval", "--strict", mode, str(_SET), "--store", str(store)),
            *("--arg", "count", str(count), "--argstr", "salt", salt),
            *("--option", "build-users-group", ""),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NIX_CONFIG": "substitute = false"},
    )
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in _MODES}
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory:
        for number in range(arguments.rounds):
            store, salt = Path(directory, str(number)), str(uuid.uuid4())
            for name, mode in _MODES.items():
                times[name].append(evaluate(mode, store, arguments.count, salt))
    print(f"{arguments.count} derivations, medians of {arguments.rounds} rounds", file=sys.stderr)
    print(f"{'':18}{'seconds':>9}{'CPU s':>9}{'CPU ms for each':>18}")
    for name, each in times.items():
        seconds, cpu = (statistics.median(values) for values in zip(*each, strict=True))
        print(f"{name:18}{seconds:9.2f}{cpu:9.2f}{cpu / arguments.count * 1000:18.2f}")


if __name__ == "__main__":
    main()

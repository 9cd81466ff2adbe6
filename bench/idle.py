"""Memory of an idle server, and of its imports alone.

usage: bench/idle.py [--against REVISION]

A server with empty storage has answered one version check.  The baseline is the server of another
revision of this repository, with the Python packages that are installed here.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.again import running
from bench.common import ROOT, small_set, source_tree

IMPORTS = """
import app.main
print(open('/proc/self/smaps_rollup').read())
"""
PARTS = ("Rss", "Pss", "Anonymous")


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--against", metavar="REVISION")
    arguments = parser.parse_args()
    packages = small_set()
    with ExitStack() as stack:
        trees = {"this tree": ROOT}
        if arguments.against:
            trees[arguments.against] = stack.enter_context(source_tree(arguments.against))
        print(f"{'MB':32}{'resident':>10}{'shared out':>12}{'anonymous':>11}")
        for name, root in trees.items():
            with (
                tempfile.TemporaryDirectory(prefix="nixery-bench-") as state,
                running(Path(state), packages, root) as server,
            ):
                server.get("/v2/")
                show(f"{name}, idle server", Path(f"/proc/{server.pid}/smaps_rollup").read_text())
            command = [sys.executable, "-c", IMPORTS]
            imported = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
            show(f"{name}, imports alone", imported.stdout)


def show(what: str, rollup: str) -> None:
    """Print parts of a ``smaps_rollup``; "shared out" divides pages among their processes."""
    sizes = [next(_sizes(part, rollup)) / 1000 for part in PARTS]
    print(f"{what:32}{sizes[0]:10.1f}{sizes[1]:12.1f}{sizes[2]:11.1f}")


def _sizes(part: str, rollup: str) -> Iterator[int]:
    for found in re.finditer(rf"^{part}: +([0-9]+) kB$", rollup, re.MULTILINE):
        yield int(found[1]) * 1024 // 1000


if __name__ == "__main__":
    main()

"""Image indexes of two architectures against images of one.

usage: bench/indexes.py [--seconds N]

Prints the time from the first request to the document, with empty storage and with the other
architecture packed before, and the rate of requests for built ones.  New servers pull the same
images in turn; their times are added.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.again import FIRST, Server, running
from bench.common import small_set
from bench.requests import ROUNDS, Sample, Target, load

OWN, OTHER = ("amd64", "arm64") if platform.machine() == "x86_64" else ("arm64", "amd64")
BOTH = "amd64,arm64"
IMAGE = FIRST[0]


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    packages = small_set()
    with ExitStack() as stack:

        def start(architectures: str) -> Server:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nixery-bench-")))
            server = running(state, packages, NIXERY_ARCHITECTURES=architectures)
            return stack.enter_context(server)

        # The first evaluation of a system starts a process, which is not measured.
        single, both, half = start(OWN), start(BOTH), start(BOTH)
        for server in (single, both, half):
            for name in ("hello", f"{OTHER}/hello"):
                server.pull(name)
        times: dict[str, list[float]] = {"one": [], "other": [], "two": [], "second": []}
        for name in FIRST:
            times["other"].append(half.pull(f"{OTHER}/{name}").seconds)
            times["one"].append(single.pull(name).seconds)
            times["two"].append(both.pull(name).seconds)
            times["second"].append(half.pull(name).seconds)
        report_first(times)
        report_rates(both, arguments.seconds)


def report_first(times: dict[str, list[float]]) -> None:
    one = sum(times["one"])
    print(f"{'first pull of':44}{'seconds':>9}{'ratio':>8}")
    labels = {
        "one": f"{OWN}",
        "other": f"{OTHER}",
        "two": "both",
        "second": f"both, {OTHER} packed before",
    }
    for kind, label in labels.items():
        print(f"{label:44}{sum(times[kind]):9.2f}{sum(times[kind]) / one:8.2f}")


def report_rates(server: Server, seconds: float) -> None:
    targets = {
        name: Target(name, server.port, server.pid, request(path))
        for name, path in (("built manifest", f"{OWN}/{IMAGE}"), ("built index", IMAGE))
    }
    samples: dict[str, list[Sample]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, target in targets.items():
            samples[name].append(load(target, seconds, connections=4))
    rates = {name: statistics.median(one.rate for one in found) for name, found in samples.items()}
    cpu = {name: statistics.median(one.cpu for one in found) for name, found in samples.items()}
    print(f"{'requests for a':44}{'a second':>9}{'ratio':>8}{'CPU ms':>8}{'ratio':>8}")
    for name, rate in rates.items():
        print(
            f"{name:44}{rate:9.0f}{rate / rates['built manifest']:8.2f}"
            f"{cpu[name] * 1e3:8.2f}{cpu[name] / cpu['built manifest']:8.2f}"
        )
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


def request(name: str) -> bytes:
    head = f"GET /v2/{name}/manifests/latest HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n"
    return head.encode()


if __name__ == "__main__":
    main()

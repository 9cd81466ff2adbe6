"""A channel on the loopback, made of the embedded package set: a host, an archive, a signed cache.

usage: python -m scripts.channel make DIRECTORY [--compression zstd|xz] [--size MIB] [--paths N]
       python -m scripts.channel serve DIRECTORY [--port N] [--latency MS] [--bandwidth MBIT]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scripts.channel.contents import make
from scripts.channel.server import Channel, Fault
from scripts.channel.serving import serve

_MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("directory", type=Path)
    making.add_argument(
        "--compression", choices=["zstd", "xz", "bzip2", "br", "none"], default="zstd"
    )
    making.add_argument("--size", type=int, default=800, help="MiB of archives")
    making.add_argument("--paths", type=int, default=200)
    serving = commands.add_parser("serve")
    serving.add_argument("directory", type=Path)
    serving.add_argument("--port", type=int, default=0)
    serving.add_argument("--latency", type=float, default=0, help="milliseconds of each request")
    serving.add_argument("--bandwidth", type=float, default=0, help="megabits a second in all")
    serving.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="PATTERN=KIND",
        help="a status, cut, slow, silence or loop for requests whose path matches",
    )
    options = parser.parse_args()
    if options.command == "make":
        try:
            made = make(
                options.directory,
                compression=options.compression,
                size=options.size * _MIB,
                paths=options.paths,
            )
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error}: {error.stderr}")
        print(json.dumps(made))
        return
    channel = Channel(
        options.directory,
        latency=options.latency / 1000,
        bandwidth=options.bandwidth * 1e6 / 8,
        faults=[_fault(text) for text in options.fail],
    )
    asyncio.run(serve(channel, _announce(channel)))


def _fault(text: str) -> Fault:
    pattern, _, kind = text.rpartition("=")
    return Fault(pattern, int(kind) if kind.isdigit() else kind)


def _announce(channel: Channel) -> Callable[[], None]:
    """Print the URL, and the wall clock's time of each request, and of each archive that was sent."""

    def note(kind: str) -> None:
        print(f"{kind} {time.time()}", flush=True)

    def requested(path: str) -> None:
        if path.endswith(".narinfo"):
            note("narinfo")
        elif path.startswith("/nar/"):
            note("archive")

    def sent(path: str) -> None:
        if path.startswith("/nar/"):
            note("sent")

    channel.on_request, channel.on_sent = requested, sent
    return lambda: print(channel.url, flush=True)


if __name__ == "__main__":
    main()

"""Disks of our own, in a mount namespace that ends with the process that holds it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ownership import start_process


@contextmanager
def mounted(arguments: tuple[str, ...], directory: Path) -> Iterator[Path]:
    """Mount with the arguments of mount(8), all but the directory; yield the directory."""
    directory.mkdir(exist_ok=True)
    private = ["unshare", "--mount"]
    if os.geteuid() != 0:
        private += ["--user", "--map-root-user"]
    script = 'directory=$1; shift; mount "$@" "$directory" && echo mounted && read wait'
    with start_process(
        [*private, "sh", "-c", script, "sh", str(directory), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "mounted\n":
            reason = holder.stderr.read().strip()
            if os.geteuid() == 0:
                pytest.fail(f"cannot mount a disk for the test: {reason}")
            pytest.skip(f"UNTESTED, needs root or user namespaces: {reason}")
        yield Path(f"/proc/{holder.pid}/root{directory}")
        holder.kill()

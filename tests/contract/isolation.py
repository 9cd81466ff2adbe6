"""Running a command where nothing is but a closure: namespaces of its own, and a new root."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DEVICES = ("null", "zero", "urandom", "random", "tty", "full")
# $1 is the new root; the closure's paths come on standard input, the rest is the command.
SCRIPT = """
root=$1; shift
while read -r path; do
  mount --bind "$path" "$root$path"
  # As root they could write there: Python did, next to its modules.
  mount -o remount,bind,ro "$root$path"
done < "$root/.closure"
rm "$root/.closure"
mount -t proc proc "$root/proc"
for device in $DEVICES; do mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t devpts devpts "$root/dev/pts"
exec chroot "$root" /bin/bash -c 'cd /tmp && export HOME=/tmp TERM=xterm PATH=/bin && eval "$1"' bash "$1"
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    output: str


def run_isolated(packages: Iterable[Path], closure: Iterable[Path], command: str) -> Outcome:
    """Runs a line of bash, which one of the packages provides, with their trees merged at /.

    Whatever is not in the closure is not there; nothing that is can be changed for others.
    """
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)  # for users the command may become
        for place in ("nix/store", "proc", "dev/pts", "tmp", "etc"):
            (root / place).mkdir(parents=True)
        (root / "dev/ptmx").symlink_to("pts/ptmx")
        (root / "dev/fd").symlink_to("/proc/self/fd")
        for device in DEVICES:
            (root / "dev" / device).touch()
        paths = [*closure]
        for path in paths:
            mounted = root / path.relative_to("/")
            mounted.mkdir() if path.is_dir() else mounted.touch()
        for package in packages:
            link_tree(package, root)
        (root / ".closure").write_text("".join(f"{path}\n" for path in paths))
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        if os.geteuid() != 0:
            namespaces.append("--map-root-user")
        done = subprocess.run(
            ["unshare", *namespaces, "/bin/sh", "-euc", SCRIPT, "sh", root, command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "DEVICES": " ".join(DEVICES)},
            timeout=120,
            check=False,
        )
    return Outcome(done.returncode, done.stdout.decode(errors="replace"))


def link_tree(package: Path, root: Path) -> None:
    """Links every file of a package at its place; of two, the first stays."""
    for base, directories, names in os.walk(package):
        place = root / Path(base).relative_to(package)
        place.mkdir(exist_ok=True)
        linked = [name for name in directories if (Path(base) / name).is_symlink()]
        for name in (*names, *linked):
            link = place / name
            if not os.path.lexists(link):
                link.symlink_to(Path(base) / name)

"""The command line of the package set's generator."""

import argparse
import sys
from pathlib import Path

from nix.debian.generator.apt import AptFailed
from nix.debian.generator.cache import cache_directory, exclusive
from nix.debian.generator.downloads import ContentDiffers
from nix.debian.generator.lock import Lock, LockUnreadable, read_lock, write_lock
from nix.debian.generator.locking import Locking
from nix.debian.generator.nixstore import NixFailed, NixMissing, NixStore, nix_environment
from nix.debian.generator.prepare import Preparation
from nix.debian.generator.progress import say
from nix.debian.generator.release import (
    ARCHITECTURES,
    NotDebian,
    Release,
    host_architecture,
    host_release,
)
from nix.debian.generator.resolver import Unresolvable
from nix.debian.generator.runtime import RuntimeIncomplete
from nix.debian.generator.seed import SeedDiffers, VersionsGone, seed, versions_gone
from nix.debian.generator.setdir import TREE, SetDirectory
from nix.debian.generator.sources import NoSource

DESCRIPTION = """\
A package set for Nix made of Debian's binary packages; see docs/package-set.md.
Progress goes to standard error, the answer to standard output."""

EXPECTED = (
    AptFailed,
    ContentDiffers,
    LockUnreadable,
    NixFailed,
    NixMissing,
    NoSource,
    NotDebian,
    RuntimeIncomplete,
    SeedDiffers,
    Unresolvable,
    VersionsGone,
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "prepare", help="make a set ready to be served; print the directory to import"
    )
    command.add_argument("--full", action="store_true", help="all of wanted/full.toml")
    command.add_argument(
        "--system", action="append", choices=sorted(ARCHITECTURES), help="default: both"
    )
    command.set_defaults(run=run_prepare)

    command = commands.add_parser("lock", help="resolve what is wanted; write a lock")
    command.add_argument("--full", action="store_true", help="all of wanted/full.toml")
    command.add_argument("--system", choices=sorted(ARCHITECTURES), default="x86_64-linux")
    command.add_argument("--codename", help="another release than this machine's")
    command.add_argument("--check", action="store_true", help="only say which versions are gone")
    command.add_argument("lock", nargs="?", type=Path, help="default: the committed one")
    command.set_defaults(run=run_lock)

    command = commands.add_parser("seed", help="put what a lock names into the Nix store")
    command.add_argument("lock", type=Path)
    command.set_defaults(run=run_seed)
    return top


def run_prepare(arguments: argparse.Namespace) -> int:
    preparation = Preparation(
        attributes="full" if arguments.full else "small",
        systems=tuple(arguments.system or ARCHITECTURES),
        cache=cache_directory(),
        store=NixStore(nix_environment()),
    )
    print(preparation.prepare())
    return 0


def run_lock(arguments: argparse.Namespace) -> int:
    path = arguments.lock or SetDirectory(TREE).lock(arguments.system)
    if arguments.check:
        return check(read_lock(path))
    host = host_release()
    locking = Locking(
        Release(host.id, arguments.codename or host.codename),
        host_architecture(),
        cache_directory(),
        NixStore(nix_environment()),
    )
    lock = locking.lock(ARCHITECTURES[arguments.system], "full" if arguments.full else "small")
    write_lock(lock, path)
    say(
        f"{len(lock.attributes)} attributes, {len(lock.units)} units, {len(lock.debs)} packages, "
        f"{sum(deb.size for deb in lock.debs.values()) / 1e6:.0f} MB; "
        f"edges cut: {', '.join(f'{a} -> {b}' for a, b in lock.cut) or 'none'}"
    )
    print(path)
    return 0


def check(lock: Lock) -> int:
    gone = versions_gone(lock, lock.debs.values(), cache_directory())
    for deb in gone:
        print(f"{deb.package} {deb.version} {deb.architecture}")
    say(f"{len(gone)} of {len(lock.debs)} pinned versions are gone from the archive")
    return 1 if gone else 0


def run_seed(arguments: argparse.Namespace) -> int:
    lock = read_lock(arguments.lock)
    new = seed(lock, NixStore(nix_environment()), cache_directory())
    say(f"{len(lock.debs)} packages in the store, {new} of them new")
    return 0


def main() -> int:
    arguments = parser().parse_args()
    try:
        with exclusive(cache_directory()):
            status: int = arguments.run(arguments)
            return status
    except EXPECTED as reason:
        print(f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
        return 1

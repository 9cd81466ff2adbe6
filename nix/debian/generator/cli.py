"""The command line of the package set's generator."""

import argparse
import json
import sys
import tomllib
from pathlib import Path

from nix.debian.generator.apt import AptFailed
from nix.debian.generator.cache import cache_directory, exclusive
from nix.debian.generator.downloads import ContentDiffers, Downloads
from nix.debian.generator.licenses import licenses, merged
from nix.debian.generator.lock import Lock, LockUnreadable, read_lock, write_lock
from nix.debian.generator.locking import Locking
from nix.debian.generator.nixstore import NixFailed, NixMissing, NixStore, nix_environment
from nix.debian.generator.prepare import Preparation
from nix.debian.generator.progress import report
from nix.debian.generator.release import ARCHITECTURES, NotDebian, Release
from nix.debian.generator.resolver import Unresolvable
from nix.debian.generator.runtime import RuntimeIncomplete
from nix.debian.generator.seed import SeedDiffers, VersionsGone, seed, versions_gone
from nix.debian.generator.setdir import TREE, SetDirectory
from nix.debian.generator.sources import NoSource
from nix.debian.generator.workplace import Workplace, read_host

DESCRIPTION = """\
A package set for Nix made of Debian's binary packages; see docs/package-set.md.
Progress goes to standard error, the result to standard output."""

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
        "--system",
        action="append",
        choices=sorted(ARCHITECTURES),
        help="default: both; for the full set, this machine's",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.set_defaults(run=run_prepare)

    command = commands.add_parser("lock", help="resolve the wanted packages; write a lock")
    command.add_argument("--full", action="store_true", help="all of wanted/full.toml")
    command.add_argument("--system", choices=sorted(ARCHITECTURES), default="x86_64-linux")
    command.add_argument("--codename", help="another release than this machine's")
    command.add_argument("--check", action="store_true", help="only list versions that are gone")
    command.add_argument("lock", nargs="?", type=Path, help="default: the committed one")
    command.set_defaults(run=run_lock)

    command = commands.add_parser(
        "licenses", help="read the licences of downloaded packages; write licenses.json"
    )
    command.set_defaults(run=run_licenses)

    command = commands.add_parser("seed", help="put the packages of a lock into the Nix store")
    command.add_argument("lock", type=Path)
    command.set_defaults(run=run_seed)
    return top


def run_prepare(arguments: argparse.Namespace, place: Workplace) -> int:
    place.store.check()  # before minutes of downloads
    systems = tuple(arguments.system or default_systems(place, full=arguments.full))
    preparation = Preparation(
        attributes=chosen_list(arguments),
        systems=systems,
        place=place,
        tree=SetDirectory(TREE),
    )
    directory = preparation.prepare()
    if directory != TREE:
        report(f"serve it with NIXERY_PKGS_PATH={directory}")
    result = {"directory": str(directory), "set": preparation.attributes, "systems": list(systems)}
    print(json.dumps(result) if arguments.json else directory)
    return 0


def run_licenses(_arguments: argparse.Namespace, place: Workplace) -> int:
    tree = SetDirectory(TREE)
    locks = [read_lock(tree.lock(system)) for system in sorted(ARCHITECTURES)]
    stated = tomllib.loads((TREE / "wanted" / "licenses.toml").read_text())
    found = merged(licenses(locks, Downloads(place.downloads)), stated)
    body = json.dumps(found, indent=1, sort_keys=True)
    (TREE / "licenses.json").write_text(f"{body}\n")
    return 0


def chosen_list(arguments: argparse.Namespace) -> str:
    return "full" if arguments.full else "small"


def default_systems(place: Workplace, *, full: bool) -> tuple[str, ...]:
    return (place.host.architecture.system,) if full else tuple(ARCHITECTURES)


def run_lock(arguments: argparse.Namespace, place: Workplace) -> int:
    path = arguments.lock or SetDirectory(TREE).lock(arguments.system)
    if arguments.check:
        return check(place, read_lock(path))
    host = place.host.release
    locking = Locking(place, Release(host.id, arguments.codename or host.codename))
    lock = locking.lock(ARCHITECTURES[arguments.system], chosen_list(arguments))
    write_lock(lock, path)
    report(
        f"{len(lock.attributes)} attributes, {len(lock.units)} units, {len(lock.debs)} packages, "
        f"{sum(deb.size for deb in lock.debs.values()) / 1e6:.0f} MB; "
        f"edges cut: {', '.join(f'{a} -> {b}' for a, b in lock.cut) or 'none'}"
    )
    print(path)
    return 0


def check(place: Workplace, lock: Lock) -> int:
    gone = versions_gone(place, lock, lock.debs.values())
    for deb in gone:
        print(f"{deb.package} {deb.version} {deb.architecture}")
    report(f"{len(gone)} of {len(lock.debs)} pinned versions are gone from the archive")
    return 1 if gone else 0


def run_seed(arguments: argparse.Namespace, place: Workplace) -> int:
    lock = read_lock(arguments.lock)
    place.store.check()
    new = seed(place, lock)
    report(f"{len(lock.debs)} packages in the store, {new} of them new")
    return 0


def main() -> int:
    arguments = parser().parse_args()
    try:
        place = Workplace(read_host(), cache_directory(), NixStore(nix_environment()))
        with exclusive(place.cache):
            status: int = arguments.run(arguments, place)
            return status
    except EXPECTED as reason:
        print(f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
        return 1

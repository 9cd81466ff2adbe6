"""Names that programs and scripts rely on, beyond those that the packages have."""

from collections.abc import Iterator, Mapping
from posixpath import dirname

from app.builder.images.contents.bound import Bound
from app.builder.images.packing.entry import Directory, Entry, Symlink

# Each of these has every program: a script may name any, and distributions differ in theirs.
# The first that has a name decides.  /nix/bin is for containers that mount /nix alone.
_PROGRAMS = (b"bin/", b"usr/bin/", b"sbin/", b"usr/sbin/", b"nix/bin/")
_SHELLS = (b"bin/bash", b"bin/dash")
_BUNDLE = b"etc/ssl/certs/ca-bundle.crt"
# The name that users mount and replace; all others lead to it.
_CERTIFICATES = b"etc/ssl/certs/ca-certificates.crt"
# Where programs look, and where packages have it.
_DIRECTORIES = ((b"usr/lib/locale", b"lib/locale", b"../../lib/locale"),)


def add_well_known(entries: dict[bytes, Entry], base: Mapping[bytes, Entry], bound: Bound) -> None:
    """Add to the entries of links, whose targets are absolute paths."""
    _name_certificates(entries)
    for name, has, target in _DIRECTORIES:
        if has in entries and name not in entries:
            entries[name] = Symlink(name, target)
    shell = next((entries[program] for program in _SHELLS if program in entries), None)
    if b"bin/sh" not in entries and isinstance(shell, Symlink):
        entries[b"bin/sh"] = Symlink(b"bin/sh", shell.target)
    _repeat_programs(entries, base, bound)


def _name_certificates(entries: dict[bytes, Entry]) -> None:
    bundle = entries.get(_BUNDLE)
    if isinstance(bundle, Symlink):
        entries.setdefault(_CERTIFICATES, Symlink(_CERTIFICATES, bundle.target))
        entries[_BUNDLE] = Symlink(_BUNDLE, b"ca-certificates.crt")


def _repeat_programs(
    entries: dict[bytes, Entry], base: Mapping[bytes, Entry], bound: Bound
) -> None:
    programs: dict[bytes, bytes] = {}
    for directory in _PROGRAMS:
        for program, target in _links(entries, directory):
            programs.setdefault(program, target)
    if not programs:
        return
    for directory in _PROGRAMS:
        for name in (directory[:-1], dirname(directory[:-1])):
            own = base.get(name)
            if name not in entries and isinstance(own, Directory):
                entries[name] = own
        for program, target in programs.items():
            name = directory + program
            if name not in entries:
                bound.add(1, len(name) + len(target))
                entries[name] = Symlink(name, target)


def _links(entries: Mapping[bytes, Entry], directory: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, entry in entries.items():
        base = name.removeprefix(directory)
        is_inside = base != name and b"/" not in base
        if is_inside and isinstance(entry, Symlink) and entry.target.startswith(b"/"):
            yield base, entry.target

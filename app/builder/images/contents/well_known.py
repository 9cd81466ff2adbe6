"""Names that programs and scripts rely on, beyond those that the packages have."""

from collections.abc import Mapping
from posixpath import dirname

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.writing import Written
from app.builder.images.packing.entry import Directory, Entry

# Each of these has every program: a script may name any, and distributions differ in theirs.
# The first that has a name decides.  /nix/bin is for containers that mount /nix alone.
_PROGRAMS = (b"bin/", b"usr/bin/", b"sbin/", b"usr/sbin/", b"nix/bin/")
_SHELLS = (b"bin/bash", b"bin/dash")
_BUNDLE = b"etc/ssl/certs/ca-bundle.crt"
# The name that users mount and replace; all others lead to it.
_CERTIFICATES = b"etc/ssl/certs/ca-certificates.crt"
# Where programs look, and where packages have it.
_DIRECTORIES = ((b"usr/lib/locale", b"lib/locale", b"../../lib/locale"),)


def add_well_known(
    entries: dict[bytes, Written], base: Mapping[bytes, Entry], bound: Bound
) -> None:
    """Add to the entries of links, whose targets are absolute paths."""
    _name_certificates(entries)
    for name, has, target in _DIRECTORIES:
        if has in entries and name not in entries:
            entries[name] = target
    shell = next((entries[program] for program in _SHELLS if program in entries), None)
    if b"bin/sh" not in entries and isinstance(shell, bytes):
        entries[b"bin/sh"] = shell
    _repeat_programs(entries, base, bound)


def _name_certificates(entries: dict[bytes, Written]) -> None:
    bundle = entries.get(_BUNDLE)
    if isinstance(bundle, bytes):
        entries.setdefault(_CERTIFICATES, bundle)
        entries[_BUNDLE] = b"ca-certificates.crt"


def _repeat_programs(
    entries: dict[bytes, Written], base: Mapping[bytes, Entry], bound: Bound
) -> None:
    programs = _programs(entries)
    if not programs:
        return
    for directory in _PROGRAMS:
        for name in (directory[:-1], dirname(directory[:-1])):
            own = base.get(name)
            if name not in entries and isinstance(own, Directory):
                entries[name] = own
        added = {directory + program: target for program, target in programs.items()}
        for name in added.keys() & entries.keys():
            del added[name]
        bound.add(len(added), sum(map(len, added)) + sum(map(len, added.values())))
        entries.update(added)


def _programs(entries: Mapping[bytes, Written]) -> dict[bytes, bytes]:
    """Return the links to programs of all directories, with their targets."""
    found: dict[bytes, dict[bytes, bytes]] = {directory: {} for directory in _PROGRAMS}
    for name, target in entries.items():
        base = name.rfind(b"/") + 1
        links = found.get(name[:base])
        if links is not None and isinstance(target, bytes) and target.startswith(b"/"):
            links[name[base:]] = target
    programs: dict[bytes, bytes] = {}
    for links in reversed(found.values()):
        programs.update(links)
    return programs

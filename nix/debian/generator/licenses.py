"""Licences of packages, as SPDX identifiers, from Debian's copyright files.

Only the machine-readable form is read (Format, stanzas of Files and License); of it, the stanza of
all files.  A licence without a known identifier leaves the package without any.
"""

import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nix.debian.generator.downloads import Downloads
from nix.debian.generator.lock import Lock

_COPYRIGHT = re.compile(r"(?:\./)?usr/share/doc/[^/]+/copyright")
_FORMAT = re.compile(r"\s*Format(?:-Specification)?:", re.IGNORECASE)
_ALL_FILES = re.compile(r"^Files:[ \t]*\*[ \t]*$", re.MULTILINE | re.IGNORECASE)
_LICENSE = re.compile(r"^License:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)
_BETWEEN = re.compile(r",?\s+(?:and/or|and|or)\s+|\s*[|,]\s*", re.IGNORECASE)
_GNU = re.compile(r"(AGPL|LGPL|GPL)-?([123](?:\.[0-9])?)(\+|-or-later|-only)?", re.IGNORECASE)
# Debian's names where they differ from SPDX, in lower case.
_KNOWN = {
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsd3": "BSD-3-Clause",
    "bsl-1.0": "BSL-1.0",
    "curl": "curl",
    "expat": "MIT",
    "gfdl-niv-1.3+": "GFDL-1.3-no-invariants-or-later",
    "isc": "ISC",
    "mit": "MIT",
    "mpl-2": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "openldap-2.8": "OLDAP-2.8",
    "python-2.0": "PSF-2.0",
    "sleepycat": "Sleepycat",
    "zlib": "Zlib",
}


def identifiers(text: str) -> tuple[str, ...]:
    """Return the identifiers of a copyright file, sorted; nothing if one is not known."""
    if not _FORMAT.match(text):
        return ()
    stanzas = re.split(r"\n[ \t]*\n", text)
    stated = [
        match[1].strip()
        for stanza in stanzas
        if _ALL_FILES.search(stanza) and (match := _LICENSE.search(stanza))
    ]
    if not stated:
        return ()
    found = [_identifier(name) for name in _BETWEEN.split(stated[0])]
    known = {name for name in found if name is not None}
    return tuple(sorted(known)) if None not in found else ()


def licenses(locks: Iterable[Lock], downloads: Downloads) -> dict[str, list[str]]:
    """Return the identifiers of each unit whose packages are downloaded.  Blocking."""
    found: dict[str, list[str]] = {}
    for lock in locks:
        for name, unit in lock.units.items():
            files = [downloads.path(lock.debs[deb]) for deb in unit.debs]
            names = {one for file in files if file.exists() for one in _of_package(file)}
            if names:
                found[name] = sorted(names)
    return found


def merged(read: Mapping[str, list[str]], stated: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return those that were read, and those that a person has stated for other packages."""
    return {**stated, **read}


def _of_package(file: Path) -> tuple[str, ...]:
    command = ("dpkg-deb", "--fsys-tarfile", str(file))
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as data,
    ):
        for member in data:
            if member.isreg() and _COPYRIGHT.fullmatch(member.name):
                content = data.extractfile(member)
                text = content.read().decode(errors="replace") if content else ""
                process.kill()
                return identifiers(text)
    return ()


def _identifier(name: str) -> str | None:
    if gnu := _GNU.fullmatch(name):
        family, version, later = gnu[1].upper(), gnu[2], gnu[3]
        version = version if "." in version else f"{version}.0"
        return f"{family}-{version}-{'or-later' if later in ('+', '-or-later') else 'only'}"
    return _KNOWN.get(name.lower())

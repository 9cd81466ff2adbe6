"""Licences of packages, from Debian's copyright files."""

import json
import tomllib

import pytest

from nix.debian.generator.licenses import identifiers, merged
from nix.debian.generator.lock import read_lock
from nix.debian.generator.release import ARCHITECTURES
from nix.debian.generator.setdir import TREE, SetDirectory

HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("GPL-2", ("GPL-2.0-only",)),
        ("GPL-3+", ("GPL-3.0-or-later",)),
        ("LGPL-2.1+", ("LGPL-2.1-or-later",)),
        ("Expat", ("MIT",)),
        ("Artistic or GPL-1+", ("Artistic-1.0-Perl", "GPL-1.0-or-later")),
        ("BSD-3-clause or GPL-2", ("BSD-3-Clause", "GPL-2.0-only")),
        ("Apache-2.0, MIT", ("Apache-2.0", "MIT")),
        ("Sleepycat and BSD-3-clause", ("BSD-3-Clause", "Sleepycat")),
        ("GPL-3+ or Less", ()),
        ("public-domain", ()),
        ("GPL-2+ with OpenSSL exception", ()),
    ],
)
def test_identifiers_are_those_of_all_files(stated: str, found: tuple[str, ...]) -> None:
    other = "Files: debian/*\nCopyright: a person\nLicense: ISC\n"
    text = f"{HEAD}\n{other}\nFiles: *\nCopyright: people\nLicense: {stated}\n The text.\n"

    assert identifiers(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "This package is under the GPL-2.\n\nFiles: *\nLicense: GPL-2\n",
        HEAD,
        f"{HEAD}\nFiles: src/*\nLicense: GPL-2\n",
        f"{HEAD}\nFiles: *\nCopyright: people\n",
    ],
)
def test_text_of_another_form_has_no_identifiers(text: str) -> None:
    assert identifiers(text) == ()


def test_file_of_a_package_precedes_what_a_person_stated() -> None:
    read, stated = {"a": ["MIT"]}, {"a": ["ISC"], "b": ["Zlib"]}

    assert merged(read, stated) == {"a": ["MIT"], "b": ["Zlib"]}


def test_written_identifiers_belong_to_units_and_have_those_that_are_stated() -> None:
    written = json.loads((TREE / "licenses.json").read_text())
    stated = tomllib.loads((TREE / "wanted" / "licenses.toml").read_text())
    locks = [read_lock(SetDirectory(TREE).lock(system)) for system in ARCHITECTURES]

    assert set(written) <= {unit for lock in locks for unit in lock.units}
    assert set(stated) <= set(written)
    assert all(written.values())

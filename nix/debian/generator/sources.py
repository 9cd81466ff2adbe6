"""The sources of this machine's apt, rewritten for one release.

They are read at run time and written to a temporary directory only; host names are not kept.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nix.debian.generator.deb822 import formatted, paragraphs
from nix.debian.generator.release import Release

# Fields about location and trust. The generator sets the others.
KEPT = ("URIs", "Signed-By", "Trusted", "Allow-Insecure", "Check-Valid-Until")
OPTION_FIELDS = {"signed-by": "Signed-By", "trusted": "Trusted", "allow-insecure": "Allow-Insecure"}
ONE_LINE = re.compile(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)")


class NoSource(Exception):
    """The configuration of apt has no source of the release."""


def parse_one_line(text: str) -> Iterator[dict[str, str]]:
    """Yield the `deb [options] uri suite components` lines of a sources.list as paragraphs."""
    for line in text.splitlines():
        found = ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found:
            options = dict(
                option.split("=", 1) for option in (found[1] or "").split() if "=" in option
            )
            yield {
                "Types": "deb",
                "URIs": found[2],
                "Suites": found[3],
                "Components": found[4],
                **{field: options[key] for key, field in OPTION_FIELDS.items() if key in options},
            }


def parse_deb822(text: str) -> Iterator[dict[str, str]]:
    for fields in paragraphs(text.splitlines()):
        if fields.get("Enabled", "yes") != "no" and "deb" in fields.get("Types", "").split():
            yield fields


def configured(apt: Path) -> tuple[Mapping[str, str], ...]:
    """Return the sources below `/etc/apt`, in the order in which apt reads them."""
    found: list[dict[str, str]] = []
    classic = apt / "sources.list"
    if classic.is_file():
        found.extend(parse_one_line(classic.read_text()))
    for path in sorted((apt / "sources.list.d").glob("*")):
        if path.suffix == ".list":
            found.extend(parse_one_line(path.read_text()))
        elif path.suffix == ".sources":
            found.extend(parse_deb822(path.read_text()))
    return tuple(found)


def source_for(release: Release, host: Release, sources: tuple[Mapping[str, str], ...]) -> str:
    """Return a source of `release` only, made from the host's own.

    It is the release without its updates. It changes at point releases only, so that the versions
    of a lock stay available for long. Raises NoSource.
    """
    names = (
        {host.codename, "stable", "testing", "unstable"} if host.id == "debian" else {host.codename}
    )
    for fields in sources:
        if names & set(fields.get("Suites", "").split()) and "main" in fields.get("Components", ""):
            kept = {name: value for name, value in fields.items() if name in KEPT}
            return formatted(
                {
                    "Types": "deb",
                    **kept,
                    "Suites": release.codename,
                    "Components": release.components,
                }
            )
    raise NoSource(
        f"apt has no source for {host.codename} with the component main; "
        "see sources.list(5), then run this again"
    )

"""Dependency fields: `a (>= 1) | b:any [amd64], c`."""

import re

QUALIFIER = re.compile(r"\s*\([^)]*\)|\s*\[[^]]*\]|\s*<[^>]*>|:[\w-]+")


def clauses(field: str) -> tuple[tuple[str, ...], ...]:
    """The clauses of a field, each a tuple of alternatives by name alone.

    Versions are not compared: within one release the index holds versions that fit.
    """
    return tuple(
        tuple(QUALIFIER.sub("", alternative).strip() for alternative in clause.split("|"))
        for clause in field.split(",")
        if clause.strip()
    )


def upstream_version(version: str) -> str:
    """Without Debian's epoch and revision: `1:2.39.5-0+deb12u2` is `2.39.5`."""
    without_epoch = version.partition(":")[2] or version
    return without_epoch.rpartition("-")[0] or without_epoch

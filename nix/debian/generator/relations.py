"""Dependency fields: `a (>= 1) | b:any [amd64], c`."""

import re

QUALIFIER = re.compile(r"\s*\([^)]*\)|\s*\[[^]]*\]|\s*<[^>]*>|:[\w-]+")


def clauses(field: str) -> tuple[tuple[str, ...], ...]:
    """Return the clauses of a field, each a tuple of alternative names.

    Versions are not compared: the versions of one release fit each other.
    """
    return tuple(
        tuple(QUALIFIER.sub("", alternative).strip() for alternative in clause.split("|"))
        for clause in field.split(",")
        if clause.strip()
    )


def upstream_version(version: str) -> str:
    """Remove Debian's epoch and revision: `1:2.39.5-0+deb12u2` is `2.39.5`."""
    without_epoch = version.partition(":")[2] or version
    return without_epoch.rpartition("-")[0] or without_epoch

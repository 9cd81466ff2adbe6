"""Contents of an image beside links to its packages: more files, and variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.builder.images.packing.entry import Directory, Entry


@dataclass(frozen=True, slots=True)
class Additions:
    """Files and environment variables beside the links to packages.

    ``entries`` take precedence over the packages' files; their names are unique.
    """

    entries: tuple[Entry, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def join(additions: Iterable[Additions]) -> Additions:
    """Return all of them; of two entries or variables with one name, the first."""
    entries: dict[bytes, Entry] = {}
    environment: dict[str, str] = {}
    for addition in additions:
        for entry in addition.entries:
            entries.setdefault(entry.name, entry)
        environment = {**addition.environment, **environment}
    return Additions(tuple(entries.values()), environment)


def over(base: Iterable[Entry], entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return both, with the directories above the entries.

    A directory of a package thus gets an entry of its own if an addition is below it.
    """
    found = {entry.name: entry for entry in base}
    for entry in entries:
        found[entry.name] = entry
        parent = entry.name.rpartition(b"/")[0]
        while parent and parent not in found:
            found[parent] = Directory(parent)
            parent = parent.rpartition(b"/")[0]
    return tuple(found.values())

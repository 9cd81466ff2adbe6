"""What a tag of a source stands for: something that never changes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """``identity`` names the content and is what keys are made of: ``commit:<hex>`` of a
    repository or channel, ``tree:<hex>`` of a directory.

    ``date`` is the commit's, for an image's ``created``; None where there is no commit.
    ``moves`` tells whether the tag may stand for something else later, ``warnings`` are
    sentences for the client, when what it gets may be out of date.  ``search_path`` are the
    revisions of other sources that its files can refer to by a name.
    """

    source: str
    identity: str
    date: datetime | None
    moves: bool
    warnings: tuple[str, ...] = ()
    search_path: tuple[tuple[str, "Revision"], ...] = ()

    @property
    def pin(self) -> str:
        """The identity of all that is evaluated, the search path included."""
        entries = (f"{name}={entry.identity}" for name, entry in self.search_path)
        return " ".join((self.identity, *entries))

    @property
    def label(self) -> str:
        """For people: the bare commit or tree."""
        return self.identity.partition(":")[2]

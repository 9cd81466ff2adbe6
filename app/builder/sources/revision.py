"""An immutable revision of a source."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision, and the way it was found.

    identity: the content, for keys: ``commit:<hex>`` of a repository or channel, ``tree:<hex>``
        of a directory.
    date: the commit's, for an image's ``created``; None without a commit.
    moves: whether the tag can have another revision later.
    warnings: sentences for the client if the revision may be out of date.
    search_path: revisions of other sources, by the name that its files use.
    """

    source: str
    identity: str
    date: datetime | None
    moves: bool
    warnings: tuple[str, ...] = ()
    search_path: tuple[tuple[str, "Revision"], ...] = ()

    @property
    def pin(self) -> str:
        """The identity of all evaluated files, including the search path."""
        entries = (f"{name}={entry.identity}" for name, entry in self.search_path)
        return " ".join((self.identity, *entries))

    @property
    def label(self) -> str:
        """The bare commit or tree, for people."""
        return self.identity.partition(":")[2]

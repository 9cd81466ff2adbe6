"""What a tag of a source stands for: something that never changes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """``identity`` names the content and is what keys are made of: ``commit:<hex>`` of a
    repository or channel, ``tree:<hex>`` of a directory.

    ``date`` is the commit's, for an image's ``created``; None where there is no commit.
    ``moves`` tells whether the tag may stand for something else later, ``warnings`` are
    sentences for the client, when what it gets may be out of date.
    """

    source: str
    identity: str
    date: datetime | None
    moves: bool
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For people: the bare commit or tree."""
        return self.identity.partition(":")[2]

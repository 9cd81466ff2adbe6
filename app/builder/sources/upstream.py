"""What each kind of source can do; the rest, patience and memory, is app.builder.sources.source."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.builder.nix.door import PackageSet
from app.builder.sources.revision import Revision
from app.errors import SourceUnavailable

UNTRUSTED = "the host's certificate is not trusted (SSL_CERT_FILE may name a private CA)"


class SourceMoved(SourceUnavailable):
    """The files changed while they were used; what was made of them belongs to no revision."""


class Upstream(Protocol):
    async def find(self, tag: str) -> Revision:
        """What the tag stands for now.

        Raises:
            TagUnknown: it stands for nothing; the message lists what there is.
            SourceUnavailable: nobody could be asked.
            Refused: what it stands for has files that cannot be unpacked.
        """

    async def tags(self) -> tuple[str, ...]:
        """What is known to name something and is served, ``latest`` first.

        Raises SourceUnavailable.
        """

    def seen(self) -> tuple[str, ...]:
        """Those of them besides ``latest`` that are known by now; nobody is asked."""

    def checkout(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]:
        """The revision's files, as long as the context lasts.

        Raises:
            SourceUnavailable: they are not here and cannot be fetched, or not unpacked now.
            Refused: no directory can hold them.
            SourceMoved: at entry or exit, they are not the revision's.
        """

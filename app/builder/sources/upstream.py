"""The operations of each kind of source; app.builder.sources.source adds queues and caches."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.builder.nix.door import PackageSet
from app.builder.sources.revision import Revision
from app.errors import SourceUnavailable

UNTRUSTED = "the host's certificate is not trusted (SSL_CERT_FILE may name a private CA)"

# Tags in the details of an error; thousands of errors are cached.
MOST_DETAILS = 100


class SourceMoved(SourceUnavailable):
    """The files changed while they were used; results of them are invalid."""


class Upstream(Protocol):
    """Where the files of a source come from."""

    async def find(self, tag: str) -> Revision:
        """Return the current revision of a tag.

        Raises:
            TagUnknown: the tag does not exist; the message lists the tags.
            SourceUnavailable: the upstream cannot be reached.
            Refused: the revision has files that cannot be unpacked.
        """

    async def tags(self) -> tuple[str, ...]:
        """Return the existing tags that are served, ``latest`` first.

        Raises SourceUnavailable.
        """

    def cached_tags(self) -> tuple[str, ...]:
        """Return the tags other than ``latest`` that are known without a query, sorted."""

    def checkout(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]:
        """Provide the revision's files while the context is open.

        Raises:
            SourceUnavailable: the files cannot be fetched, or the disk is full or fails.
            Refused: the files cannot be written to a directory.
            SourceMoved: at entry or exit, the files are not those of the revision.
        """

"""What a binary cache has of one path."""

from dataclasses import dataclass

from app.builder.nix.binary_cache.narinfo import Substitute

# Compressed data may be larger than the archive, but not by much.
_EXCESS = 1 << 20


@dataclass(frozen=True, slots=True)
class Cache:
    """A binary cache.

    ``location`` is the URL without secrets.  A ``trusted`` cache needs no signatures.
    """

    url: str
    location: str
    trusted: bool
    priority: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A path that a cache has.  ``url`` is that of the archive, ``location`` names the cache.

    ``others`` are caches that were not queried.
    """

    location: str
    url: str
    substitute: Substitute
    others: tuple[Cache, ...] = ()

    @property
    def file_size(self) -> int | None:
        """The size of the file; None if the narinfo does not state it."""
        is_archive = self.substitute.compression == "none"
        return self.substitute.file_size or (self.substitute.nar_size if is_archive else None)

    @property
    def size(self) -> int:
        """How many bytes to expect."""
        return self.substitute.file_size or self.substitute.nar_size

    @property
    def most(self) -> int:
        return self.substitute.nar_size + self.substitute.nar_size // 16 + _EXCESS

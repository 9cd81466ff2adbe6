"""The body of a response in memory, such as a narinfo."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.builder.nix.binary_cache.exchange import TransferFailed

# Statuses of a missing path.  As in Nix also 403, which a bucket without permission to list sends.
NOT_THERE = frozenset({403, 404, 410})


class SmallFile:
    """A body of at most ``size_limit`` bytes.

    ``take`` receives it in parts.  ``body`` is None if the server does not have the file.
    """

    def __init__(self, size_limit: int) -> None:
        self._size_limit = size_limit
        self._received = bytearray()
        self.body: bytes | None = None

    def take(self, part: bytes | bytearray, _: int) -> bool:
        self._received += part
        return len(self._received) <= self._size_limit

    @contextmanager
    def received(self) -> Iterator[None]:
        """Set ``body`` after the transfer that is made in this context.  Raises TransferFailed."""
        try:
            yield
        except TransferFailed as error:
            if error.status not in NOT_THERE:
                raise
            return
        if len(self._received) > self._size_limit:
            raise TransferFailed(f"more than {self._size_limit} bytes", transient=False)
        self.body = bytes(self._received)

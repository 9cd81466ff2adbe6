"""The clients that a job runs for, by the addresses whose shares of the queues it uses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Further clients do not bring a job forward.
_MOST = 1000


class Clients:
    """Grows while clients join; empty for work without a client, which has no share."""

    __slots__ = ("_addresses", "_listeners")

    def __init__(self) -> None:
        # A dictionary for its order: the first address is that of the client that started the job.
        self._addresses: dict[str, None] = {}
        self._listeners: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, address: str) -> None:
        if address and address not in self._addresses and len(self._addresses) < _MOST:
            self._addresses[address] = None
            for listener in tuple(self._listeners):
                listener()

    @contextmanager
    def watched(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call the listener whenever another client joins."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

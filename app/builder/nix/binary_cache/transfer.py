"""A connection of one thread, for commands that read many small files."""

import threading
from typing import TYPE_CHECKING

from app.builder.nix.binary_cache.exchange import (
    Exchange,
    TransferOptions,
    TransferStopped,
    Write,
)
from app.system.blocking import blocking
from app.system.on_demand import OnDemand

if TYPE_CHECKING:
    import pycurl
else:
    pycurl = OnDemand("pycurl")


class Transfer:
    """An open connection, whose transfers end when ``stop`` is set."""

    def __init__(self, options: TransferOptions, stop: threading.Event) -> None:
        self._stop = stop
        self._exchange = Exchange(options)
        curl = self._exchange.handle
        curl.setopt(pycurl.NOPROGRESS, 0)
        curl.setopt(pycurl.XFERINFOFUNCTION, lambda *_: 1 if stop.is_set() else 0)

    @blocking
    def get(self, url: str, write: Write) -> None:
        """Request a file.  ``write`` is that of ``Exchange.begin``.

        Raises TransferFailed, TransferStopped.
        """
        exchange = self._exchange
        exchange.begin(url, write)
        try:
            exchange.handle.perform()
        except pycurl.error as error:
            if self._stop.is_set():
                raise TransferStopped from None
            exchange.end(int(error.args[0]), str(error.args[-1]))
        else:
            exchange.end()

    def close(self) -> None:
        self._exchange.handle.close()

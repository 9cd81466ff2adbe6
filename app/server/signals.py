"""SIGTERM, SIGINT and SIGHUP of a closed terminal, delivered to the event loop of the main thread."""

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self


class StopSignals:
    """Call ``on_stop`` in the event loop for the first signal, and for a SIGINT that follows.

    A third signal ends the process as if it were not handled.  Use as a context manager in the
    main thread.  ``received`` is the latest signal: raise it when the process has stopped in
    order, so that its parent sees how it ended.
    """

    def __init__(self, on_stop: Callable[[], object]) -> None:
        self.on_stop = on_stop
        self.received: signal.Signals | None = None
        self._loop = asyncio.get_running_loop()
        # nohup ignores SIGHUP: the server then outlives its terminal.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        hangup = () if ignored else (signal.SIGHUP,)
        self._numbers = (signal.SIGTERM, signal.SIGINT, *hangup)

    def __enter__(self) -> Self:
        for number in self._numbers:
            self._loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        for number in self._numbers:
            self._loop.remove_signal_handler(number)

    def _receive(self, number: signal.Signals) -> None:
        if self.received is None:
            self.on_stop()
        elif number is signal.SIGINT:
            self._loop.remove_signal_handler(number)
            self.on_stop()
        self.received = number

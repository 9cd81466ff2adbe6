"""Many transfers at a time, by one thread: libcurl's multi interface in an event loop."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from app.system.on_demand import OnDemand

if TYPE_CHECKING:
    import pycurl
else:
    pycurl = OnDemand("pycurl")

# libcurl's code and message; 0 for a transfer that succeeded.
Outcome = tuple[int, str]


class Multi:
    """Transfers by one multi handle of libcurl, for use in the event loop that it was made in.

    At most ``connections`` idle connections stay open.  libcurl names the sockets and the time that
    it waits for, and is called when one of them is due.  It starts a thread of its own for each
    host name that it resolves.
    """

    def __init__(self, connections: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watched: dict[int, int] = {}
        self._running: dict[pycurl.Curl, asyncio.Future[Outcome]] = {}
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        multi.setopt(pycurl.M_MAXCONNECTS, connections)
        # A connection for each transfer: the bandwidth of one is limited by its window.
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_NOTHING)

    async def perform(self, handle: "pycurl.Curl") -> Outcome:
        """Return when the transfer has ended.  A cancellation ends it at once."""
        outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._running[handle] = outcome
        self._multi.add_handle(handle)
        try:
            return await outcome
        finally:
            del self._running[handle]
            self._multi.remove_handle(handle)

    def close(self) -> None:
        """Close all connections, when no transfer is left."""
        self._multi.close()
        self._set_timer(-1)
        for descriptor in tuple(self._watched):
            self._watch(pycurl.POLL_REMOVE, descriptor)

    def _watch(self, events: int, descriptor: int, *_: object) -> None:
        wanted = 0 if events == pycurl.POLL_REMOVE else events
        before = self._watched.pop(descriptor, 0)
        if wanted:
            self._watched[descriptor] = wanted
        loop, begun, ended = self._loop, wanted & ~before, before & ~wanted
        if begun & pycurl.POLL_IN:
            loop.add_reader(descriptor, self._act, descriptor, pycurl.CSELECT_IN)
        if begun & pycurl.POLL_OUT:
            loop.add_writer(descriptor, self._act, descriptor, pycurl.CSELECT_OUT)
        if ended & pycurl.POLL_IN:
            loop.remove_reader(descriptor)
        if ended & pycurl.POLL_OUT:
            loop.remove_writer(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0:
            due = partial(self._act, pycurl.SOCKET_TIMEOUT, 0)
            self._timer = self._loop.call_later(milliseconds / 1000, due)

    def _act(self, descriptor: int, events: int) -> None:
        _, active = self._multi.socket_action(descriptor, events)
        queued = len(self._running) - active
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            for handle in succeeded:
                self._settle(handle, (0, ""))
            for handle, code, message in failed:
                self._settle(handle, (code, message))

    def _settle(self, handle: "pycurl.Curl", outcome: Outcome) -> None:
        running = self._running.get(handle)
        if running is not None and not running.done():
            running.set_result(outcome)

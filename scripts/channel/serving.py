"""Serve a simulated channel, and close every connection at the end."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

from scripts.channel.server import Channel

# Turns of the event loop in which asyncio makes a transport of a connection.
_ACCEPTING_TURNS = 5


async def serve(channel: Channel, started: Callable[[], None] = lambda: None) -> None:
    """Serve until the task is cancelled."""
    transports: set[asyncio.WriteTransport] = set()

    def connect(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[None, None, None]:
        transports.add(writer.transport)
        return channel.answer(reader, writer)

    server = await asyncio.start_server(
        connect, "127.0.0.1", channel.port, backlog=512, ssl=channel.tls
    )
    channel.begin(server.sockets[0].getsockname()[1])
    started()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        # asyncio accepts a connection in one turn and makes its transport in a later one.  If the
        # server was closed between them, that fails, and nothing closes the socket.
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        # serve_forever waits from Python 3.12 on until clients close their connections, and a task
        # that is cancelled before it starts closes nothing.
        server.close()
        for transport in transports:
            transport.abort()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # closes the sockets
    await asyncio.sleep(0)  # connections that were closed end in the next turn


@contextmanager
def serving(channel: Channel) -> Iterator[Channel]:
    """Serve in a thread.  A channel that is served again keeps its port."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    task = loop.create_task(serve(channel, started.set))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except (asyncio.CancelledError, OSError):
            pass  # an error is raised to the caller
        finally:
            loop.run_until_complete(_cancel_others())
            loop.close()
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    if task.done():  # the port is in use
        thread.join()
        task.result()
    try:
        yield channel
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()

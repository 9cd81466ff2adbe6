"""Requests a second, and CPU for each, of HTTP clients with many small files at a time.

usage: bench/http_clients.py [--requests N] [--connections N] [--latency SECONDS] [CLIENT...]

``one thread`` is pycurl with all connections in one thread.  Clients other than pycurl and httpx are
not among the project's dependencies: `uv run --with aiohttp --with urllib3 python
bench/http_clients.py` measures all of them.
"""

import argparse
import asyncio
import queue
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pycurl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.nix.binary_cache.exchange import TransferOptions
from app.builder.nix.binary_cache.transfer_thread import TransferThread
from scripts.channel.server import Channel
from scripts.channel.serving import serving

_FILE = b"StorePath: /nix/store/x\n" * 40
Get = Callable[[str], None]


def _pycurl() -> Get:
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)

    def get(url: str) -> None:
        body = bytearray()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEFUNCTION, body.extend)
        curl.perform()

    return get


def _http_client() -> Get:
    connections: dict[str, HTTPConnection] = {}

    def get(url: str) -> None:
        host, path = url.removeprefix("http://").split("/", 1)
        connection = connections.setdefault(host, HTTPConnection(host))
        connection.request("GET", f"/{path}")
        connection.getresponse().read()

    return get


def _urllib3() -> Get:
    pool = import_module("urllib3").PoolManager(maxsize=1)
    return lambda url: pool.request("GET", url)


async def _aiohttp(urls: Iterator[str], connections: int) -> None:
    aiohttp: Any = import_module("aiohttp")
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for url in urls:
                async with session.get(url) as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(connections)))


async def _httpx(urls: Iterator[str], connections: int) -> None:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits) as client:

        async def work() -> None:
            for url in urls:
                await client.get(url)

        await asyncio.gather(*(work() for _ in range(connections)))


async def _one_thread(urls: Iterator[str], connections: int) -> None:
    """Measure pycurl as the server uses it for binary caches: one thread for all connections."""
    transfers = TransferThread(TransferOptions(), connections=connections)

    async def work() -> None:
        for url in urls:
            body = bytearray()

            def take(part: bytes | bytearray, _: int, body: bytearray = body) -> bool:
                body.extend(part)
                return True

            with transfers.exchange() as exchange:
                await transfers.get(exchange, url, take)

    async def run() -> None:
        await asyncio.gather(*(work() for _ in range(connections)))

    await transfers.run(run)
    transfers.close()


_THREADED = {"pycurl": _pycurl, "http.client": _http_client, "urllib3": _urllib3}
_ASYNC = {"one thread": _one_thread, "aiohttp": _aiohttp, "httpx": _httpx}


def run(client: str, urls: list[str], connections: int) -> None:
    if client in _ASYNC:
        asyncio.run(_ASYNC[client](iter(urls), connections))
        return
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for url in urls:
        waiting.put(url)

    def work() -> None:
        get = _THREADED[client]()
        while True:
            try:
                get(waiting.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("clients", nargs="*", default=[*_THREADED, *_ASYNC])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=48)
    parser.add_argument("--latency", type=float, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file").write_bytes(_FILE)
        with serving(Channel(Path(directory), latency=options.latency)) as channel:
            for client in options.clients:
                try:
                    _measure(client, channel, options.requests, options.connections)
                except ModuleNotFoundError:
                    print(f"{client:12} is not installed")


def _measure(client: str, channel: Channel, requests: int, connections: int) -> None:
    """Measure one client.  The server is in the same process and adds as much CPU to each."""
    cpu, begun = _cpu(), time.perf_counter()
    run(client, [f"{channel.url}/file"] * requests, connections)
    wall, spent = time.perf_counter() - begun, _cpu() - cpu
    print(f"{client:12} {requests / wall:7.0f} a second, {spent / requests * 1e6:6.0f} us of CPU")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

"""What attackers do, each on connections of its own until a time."""

import json
import secrets
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection
from itertools import cycle

from bench.attacking.server import Served

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PIPELINED = 10_000_000  # bytes of each connection
BROWSER = {"Accept": "text/html"}


def pipeline(served: Served, until: float) -> Counter[int]:
    data = memoryview(REQUEST * (PIPELINED // len(REQUEST)))
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(0)
        sent = 0
        while sent < len(data) and (left := until - time.monotonic()) > 0:
            if select.select([], [client], [], left)[1]:
                with suppress(BlockingIOError):
                    sent += client.send(data[sent : sent + (1 << 16)])
        time.sleep(max(0, until - time.monotonic()))
    return Counter()


def print_without_end(served: Served, until: float) -> Counter[int]:
    """Start a build that continues until its log is too long or the server stops."""
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=1)) as client:
        client.request("GET", "/v2/loud/manifests/latest")
        time.sleep(max(0, until - time.monotonic()))
    return Counter()


def request_paths(paths: Sequence[str], served: Served, until: float) -> Counter[int]:
    """Request the paths in turn, with new text in place of ``{}``."""
    statuses: Counter[int] = Counter()
    with closing(served.connect()) as client:
        for path in cycle(paths):
            if time.monotonic() >= until:
                return statuses
            client.request("GET", path.format(secrets.token_hex(8)), headers=BROWSER)
            response = client.getresponse()
            response.read()
            statuses[response.status] += 1
    return statuses


def follow_build(served: Served, until: float) -> Counter[int]:
    """Follow a build with endless output, as a browser does."""
    print_without_end(served, time.monotonic() + 1)
    running = json.loads(served.read("/api/builds"))["running"]
    with closing(served.connect()) as client:
        client.request("GET", f"/builds/{running[0]['id']}/events")
        response = client.getresponse()
        while time.monotonic() < until and response.read1(1 << 16):
            pass
    return Counter({response.status: 1})


def _paths(*paths: str) -> Callable[[Served, float], Counter[int]]:
    return partial(request_paths, paths)


ATTACKS: dict[str, Callable[[Served, float], Counter[int]]] = {
    "pipelining": pipeline,
    "log": print_without_end,
    "events": follow_build,
    "names": _paths("/v2/x{}/manifests/latest"),
    "known": _paths("/v2/x{}/manifests/latest"),
    "search": _paths("/api/search?q=x{}", "/search?q=lib&page={}", "/api/search?q=e"),
    "plans": _paths("/api/plan/x{}", "/plan/jq", "/api/plan/jq/hello"),
    "images": _paths("/images/jq", "/api/images/jq", "/api/diff/jq?before=latest", "/images/x{}"),
    "state": _paths("/metrics", "/debug", "/api/builds", "/builds", "/readyz"),
    "lists": _paths("/v2/jq/tags/list", "/v2/x{}/tags/list", "/v2/_catalog", "/{}", "/static/{}"),
}


def attack(name: str, served: Served, connections: int, until: float) -> Counter[int]:
    """Attack from another process, whose threads do not delay the measurement."""
    count = {"pipelining": 40, "log": 1}.get(name, connections)
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(ATTACKS[name], served, until) for _ in range(count)]
        return sum((each.result() for each in running), Counter())

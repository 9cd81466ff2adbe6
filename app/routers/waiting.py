"""Builds that take minutes, for clients that give up after seconds.

A redirect to itself costs a client nothing and starts its clocks anew; Go's HTTP client,
which nearly all of them are, follows ten (net/http, ``defaultCheckRedirect``).
"""

import asyncio
import random
import re

from fastapi import Request
from fastapi.responses import Response

from app.builder.images.image import BuiltImage
from app.errors import StillBuilding, TooManyRequests
from app.routers.clients import has_header_limit
from app.state import AppState, Pull

_HOP = re.compile(rb"(?:^|&)_w=([0-9]{1,3})(?=&|$)")
_HOP_PARAMETER = re.compile(rb"_w(?:=|$)")
_UNSAFE = re.compile(rb"[^!-~]|[\"<>\\^`{|}]")
_RETRY_SECONDS = 15
_FIND_SECONDS = 0.05
_REFUSED_SECONDS = (0.5, 1.5)


async def await_build(request: Request, job: Pull, state: AppState) -> BuiltImage | Response:
    """The image, or the redirect of a client that has waited long enough for now.

    Raises what the build failed with, StillBuilding where waiting has no more forms; the
    answer to either names the build's page.
    """
    request.state.build = job
    try:
        return await _await_build(request, job, state)
    except StillBuilding:
        raise
    except TooManyRequests:
        # A client that repeats at once would keep the event loop busy with refusals; clients that
        # were refused together do not come back together.
        await asyncio.sleep(random.uniform(*_REFUSED_SECONDS))  # noqa: S311  # no secret
        raise


async def _await_build(request: Request, job: Pull, state: AppState) -> BuiltImage | Response:
    if image := job.result():
        return image
    policy = state.wait_policy
    hop = _hop(request.scope["query_string"], policy.hops)
    last = hop == policy.hops
    impatient = has_header_limit(request.headers.get("user-agent", ""))
    seconds = policy.hold_seconds if last and not impatient else policy.hop_seconds
    if image := await _wait(request, job, seconds):
        return image
    if state.jobs.draining:
        # A server that stops takes no connections, so whoever were sent away would find the door
        # closed; its builds end soon in one way or the other.
        if image := await _wait(request, job, policy.hold_seconds):
            return image
    elif not last:
        return _to_itself(request, hop + 1)
    stage = f" ({job.stage})" if job.stage else ""
    raise StillBuilding(f"still building {job.title}{stage}", retry_after=_RETRY_SECONDS)


async def _wait(request: Request, job: Pull, seconds: float) -> BuiltImage | None:
    """A client that leaves ends its own waiting, and nothing else."""
    # Most images are built already and found at once: too soon to watch for anyone leaving.
    soon = min(seconds, _FIND_SECONDS)
    if image := await job.wait(soon):
        return image
    built = asyncio.ensure_future(job.wait(seconds - soon))
    left = asyncio.ensure_future(_leave(request))
    try:
        await asyncio.wait((built, left), return_when=asyncio.FIRST_COMPLETED)
        return built.result() if built.done() else None
    finally:
        built.cancel()
        left.cancel()


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass  # a body nobody asked for


def _hop(query: bytes, hops: int) -> int:
    """Advice from the network: it may shorten the sender's own waiting, and nothing else."""
    found = _HOP.search(query)
    return min(int(found[1]), hops) if found else 0


def _to_itself(request: Request, hop: int) -> Response:
    """Relative, so that whatever address the client used stays the one it uses."""
    query: bytes = request.scope["query_string"]
    kept = [part for part in query.split(b"&") if part and not _HOP_PARAMETER.match(part)]
    location = b"?" + b"&".join([*kept, b"_w=%d" % hop])
    location = _UNSAFE.sub(lambda unsafe: b"%%%02X" % unsafe[0][0], location)
    return Response(
        status_code=307,
        headers={"location": location.decode("ascii"), "cache-control": "no-store"},
    )

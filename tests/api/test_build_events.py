"""Builds as server-sent events: what a page shows while it is open."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from app.builder.images.image import Built
from app.builder.jobs.job import Job
from app.builder.jobs.progress import Progress
from app.errors import BuildFailed
from app.state import LiveStreams
from tests.api.registry import Registry

Event = tuple[str, object]


class Follower:
    """A browser that reads events as the server sends them; httpx reads whole responses."""

    def __init__(
        self,
        registry: Registry,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status = 0
        self._body = b""
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        self.task = asyncio.create_task(registry.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self._body += message.get("body", b"")
        self._news.set()

    def close(self) -> None:
        self._gone.set()

    async def until(self, name: str) -> list[Event]:
        """Return all events so far, once one of this name has arrived."""
        while name not in [event for event, _ in self.events]:
            self._news.clear()
            await self._news.wait()
        return self.events

    @property
    def events(self) -> list[Event]:
        found = []
        for block in self._body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
            if "event" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found


@pytest.fixture
async def build(registry: Registry) -> AsyncIterator[str]:
    """The page of a build that runs until the event of "sleepy" is set."""
    event = registry.images.slow["sleepy"] = asyncio.Event()
    job = registry.pull("sleepy")
    yield f"/builds/{job.identifier}"
    event.set()


@pytest.mark.slow
async def test_a_page_gets_the_stage_the_lines_and_the_end(registry: Registry, build: str) -> None:
    follower = Follower(registry, f"{build}/events")
    events = await follower.until("log")
    assert follower.status == 200
    state = dict(events)["state"]
    assert isinstance(state, dict)
    assert state["state"] == "running"

    progress = registry.jobs.running[0].progress
    progress.write("compiling <b>main.c</b>")
    registry.images.slow["sleepy"].set()
    events = await follower.until("end")
    await follower.task

    lines = [
        line for name, data in events if name == "log" and isinstance(data, list) for line in data
    ]
    assert lines == ["evaluation", "realising sleepy", "compiling <b>main.c</b>"]
    assert events[-1][0] == "end"
    assert isinstance(events[-1][1], dict)
    assert events[-1][1]["state"] == "succeeded"


async def test_a_failure_ends_the_stream_with_its_message(registry: Registry) -> None:
    registry.images.seconds["hello"] = 30
    registry.images.broken["git"] = BuildFailed("git failed", derivation="x.drv", log=())
    job = registry.pull("hello/git")

    follower = Follower(registry, f"/builds/{job.identifier}/events")
    (*_, (name, data)) = await follower.until("end")

    assert name == "end"
    assert isinstance(data, dict)
    assert (data["state"], data["message"]) == ("failed", "git failed")


@pytest.mark.parametrize("way", ["query", "header"])
async def test_a_reconnected_page_gets_only_the_lines_it_lacks(
    registry: Registry, build: str, way: str
) -> None:
    await Follower(registry, f"{build}/events").until("log")
    registry.jobs.running[0].progress.write("a new line")

    if way == "query":
        again = Follower(registry, f"{build}/events?after=2")
    else:
        again = Follower(registry, f"{build}/events", headers={"last-event-id": "2"})
    events = await again.until("log")

    assert dict(events)["log"] == ["a new line"]


async def test_a_client_that_leaves_frees_its_place(registry: Registry, build: str) -> None:
    registry.change(streams=LiveStreams(limit=1))
    first = Follower(registry, f"{build}/events")
    await first.until("state")
    refused = Follower(registry, f"{build}/events")
    await refused.task
    assert refused.status == 429

    first.close()
    await first.task

    second = Follower(registry, f"{build}/events")
    await second.until("state")
    assert second.status == 200


async def test_one_address_has_a_share_of_the_places(registry: Registry, build: str) -> None:
    registry.change(streams=LiveStreams(limit=9, share=1))
    await Follower(registry, f"{build}/events").until("state")

    refused = Follower(registry, f"{build}/events")
    await refused.task

    assert refused.status == 429


async def test_a_head_gets_the_headers_and_keeps_no_place(registry: Registry, build: str) -> None:
    registry.change(streams=LiveStreams(limit=1))

    for _ in range(2):
        head = Follower(registry, f"{build}/events", method="HEAD")
        await head.task
        assert (head.status, head._body) == (200, b"")

    follower = Follower(registry, f"{build}/events")
    await follower.until("state")
    assert follower.status == 200


async def test_a_stream_ends_with_the_server(registry: Registry, build: str) -> None:
    follower = Follower(registry, f"{build}/events")
    await follower.until("state")

    draining = asyncio.create_task(registry.jobs.drain(60))
    await follower.task
    registry.images.slow["sleepy"].set()
    await draining

    assert "end" not in dict(follower.events)


@pytest.mark.slow
async def test_a_stream_ends_after_its_time_and_the_page_connects_again(
    registry: Registry, build: str
) -> None:
    follower = Follower(registry, f"{build}/events")

    await follower.task

    assert b"retry: 2000" in follower._body
    assert follower._body.count(b": ping") > 10
    assert "end" not in dict(follower.events)


@pytest.mark.parametrize("last", ["9" * 5000, "-1", "1e3", "²", ""])
async def test_what_is_not_the_number_of_a_line_is_ignored(registry: Registry, last: str) -> None:
    job = registry.pull("hello")
    page = f"/builds/{job.identifier}/events"
    follower = Follower(registry, page, headers={"last-event-id": last})

    await follower.task

    assert follower.status == 200


async def test_events_of_an_unknown_build_are_404(registry: Registry) -> None:
    follower = Follower(registry, "/builds/0123456789ab/events")
    await follower.task

    assert follower.status == 404


async def test_a_stream_continues_in_the_build_that_another_client_started(
    registry: Registry,
) -> None:
    ready = asyncio.Event()

    async def build(progress: Progress) -> Built:
        progress.enter("packing")
        await ready.wait()
        raise BuildFailed("it failed", derivation="x.drv", log=())

    other = registry.jobs.join("build", build, title="other")

    async def find(job: Job[Built]) -> Job[Built]:
        await asyncio.sleep(5)
        return registry.jobs.follow("build", build, after=job)

    step = registry.jobs.join_step("step", find, title="mine")
    follower = Follower(registry, f"/builds/{step.identifier}/events")
    events = await follower.until("restart")
    ready.set()
    events = await follower.until("end")

    assert other.identifier in str(events[-1][1])
    assert dict(events)["log"] == ["packing"]
